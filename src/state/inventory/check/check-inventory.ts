import type { Machine } from '../../../machine/machine.ts'
import { findJumpChainErrors } from '../../../machine/jump-hosts.ts'
import { findSwarmProblems } from '../../../machine/swarms.ts'
import { locate, parseInventoryDocument } from '../document.ts'
import { inventoryError } from './problem.ts'
import { inventoryOf, type Inventory } from '../inventory.ts'
import type { LoadOptions } from '../parse-inventory.ts'
import { settingPath } from './setting-path.ts'
import { readInventoryText } from '../read-text.ts'

type Path = readonly PropertyKey[]

/** A problem, and its path in the document. */
interface LocatedProblem {
  readonly path: Path
  readonly message: string
}

/**
 * Matches paths that are valid on one computer only: absolute, below a home directory, or on a
 * Windows drive. Does not match Azure resource IDs.
 */
const localPath = /^(?:\/(?!subscriptions\/)|~[/\\]|[A-Za-z]:[\\/]|\\\\)/

/**
 * Finds strings that are valid paths only on one computer. Socket paths are not reported: they are on the host, where
 * they are the same for everyone.
 */
function* findPaths(value: unknown, path: Path): Generator<LocatedProblem> {
  if (typeof value === 'string' && localPath.test(value) && path.at(-1) !== 'socket') {
    yield {
      path,
      message: `${path.map(String).join('.')}: this path is valid on only one computer`,
    }
  }
  if (typeof value !== 'object' || value === null) return
  const keyed = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  for (const [key, item] of keyed) yield* findPaths(item, [...path, key])
}

function findUnfinished({ machines }: Inventory): readonly LocatedProblem[] {
  return [...machines].flatMap(([name, { host }]) => {
    if (host === undefined || host.phase === 'ready') return []
    const state =
      host.phase === 'creating'
        ? `was only partly created: run fleet create ${name} to finish creating it, or fleet rm ${name} to remove it`
        : `was only partly removed: run fleet rm ${name} to finish removing it`
    return [{ path: ['machines', name, 'host', 'phase'], message: `${name} ${state}` }]
  })
}

/** Identifies a host: by its token if fleet created it, else by its login and jump host. */
function hostIdentity({ host, via = '' }: Machine): { key: string; field: string } | undefined {
  const { token, address, port = 22, user } = host ?? {}
  if (token !== undefined) return { key: token, field: 'token' }
  if (address === undefined) return undefined
  return { key: [user, address, port, via].join('\n'), field: 'address' }
}

/** Finds entries for the same host, which can result from a line merge of a branch that renamed a machine. */
function findSharedRecords({ entries, machines }: Inventory): readonly LocatedProblem[] {
  const owners = new Map<string, string>()
  return [...entries.keys()].flatMap((name) => {
    const machine = machines.get(name)
    const host = machine && hostIdentity(machine)
    if (host === undefined) return []
    const owner = owners.get(host.key)
    if (owner === undefined) owners.set(host.key, name)
    if (owner === undefined) return []
    const message = `${name} and ${owner} refer to the same host: keep only one of the two entries`
    return [{ path: ['machines', name, 'host', host.field], message }]
  })
}

function findSwarmMistakes({ swarms, machines }: Inventory): readonly LocatedProblem[] {
  return findSwarmProblems(swarms, machines.values())
    .filter(({ isWarning }) => isWarning !== true)
    .map(({ swarm, key, message }) => ({
      path: ['swarms', swarm, ...(key === undefined ? [] : [key])],
      message,
    }))
}

/** Finds stacks for a swarm that does not exist. */
function findUnknownSwarms({ stacks, swarms }: Inventory): readonly LocatedProblem[] {
  return [...stacks.values()].flatMap(({ name, swarm }) =>
    swarm === undefined || swarms.has(swarm)
      ? []
      : [
          {
            path: ['stacks', name, 'swarm'],
            message: `stack ${name}: there is no swarm called ${JSON.stringify(swarm)}`,
          },
        ],
  )
}

/** Finds problems in a readable inventory that affect the other users who share it. */
function findProblems(
  inventory: Inventory,
  driverProblems: ReadonlyMap<string, string>,
): LocatedProblem[] {
  const { machines, entries, profiles, defaults } = inventory
  return [
    ...findUnfinished(inventory),
    ...findSharedRecords(inventory),
    ...findSwarmMistakes(inventory),
    ...findUnknownSwarms(inventory),
    ...findJumpChainErrors(machines).map(({ name, message }) => ({
      path: settingPath(inventory, name, 'via'),
      message,
    })),
    ...[...machines].flatMap(([name, { driver }]) => {
      const message = driverProblems.get(driver)
      return message === undefined
        ? []
        : [{ path: settingPath(inventory, name, 'driver'), message }]
    }),
    ...[...entries].flatMap(([name, { options, host }]) => [
      ...findPaths(options, ['machines', name, 'options']),
      ...findPaths(host, ['machines', name, 'host']),
    ]),
    ...[...profiles].flatMap(([name, { options }]) => [
      ...findPaths(options, ['profiles', name, 'options']),
    ]),
    ...findPaths(defaults, ['defaults']),
  ]
}

/**
 * Checks a text for problems that a shared inventory must not have: errors that make it unreadable, paths that are
 * valid on one computer only, unfinished entries, invalid jump hosts, and drivers for which `findDriverProblem` returns
 * a problem. Throws kind `inventory` with all positions.
 */
export async function checkInventory(
  text: string,
  file: string,
  loadOptions: LoadOptions,
  findDriverProblem: (driver: string) => Promise<string | undefined>,
): Promise<Inventory> {
  const inventory = inventoryOf(await readInventoryText(text, file, loadOptions))
  const names = [...new Set([...inventory.machines.values()].map(({ driver }) => driver))]
  const driverProblems = new Map<string, string>()
  for (const name of names) {
    const problem = await findDriverProblem(name)
    if (problem !== undefined) driverProblems.set(name, problem)
  }
  const findings = findProblems(inventory, driverProblems)
  if (findings.length === 0) return inventory
  const { root } = parseInventoryDocument(text, file)
  throw inventoryError(
    file,
    text,
    findings.map(({ path, message }) => {
      const { node, keyOffset } = locate(root, path)
      return { offset: node?.range[0] ?? keyOffset, message }
    }),
  )
}
