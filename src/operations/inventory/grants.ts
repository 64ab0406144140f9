import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Grant } from '../../drivers/grants.ts'
import { isEngineSocket } from '../../drivers/local/engine-sockets.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { followPath } from '../../state/inventory/path-beside.ts'
import { shellLine } from '../../transport/command-line.ts'
import type { Change } from '../plan/change-plan.ts'
import type { Context } from '../context.ts'

type Options = Readonly<Record<string, unknown>>

/** What a host is given, and what of that takes a consent of its own. */
export interface FoundGrant {
  readonly machine: MachineName
  /** A phrase: `folder /home/ana/code of this computer, writable, as code`. */
  readonly what: string
  /** The real path of what is not in the folder of the inventory, and that this person has not allowed it yet. */
  readonly outside?: string
  /** Why that takes a consent. */
  readonly why?: string
}

/** Why something takes a consent of its own. */
const reasons = {
  folder: 'outside the folder of the inventory',
  socket: 'not a known engine socket',
} as const

type Consent = Pick<Context, 'driver' | 'inventory' | 'trust'>

/** Whether the person has allowed a path for the inventory at `location`. */
async function isAllowed({ trust }: Consent, location: string, path: string): Promise<boolean> {
  const inventory = await realpath(location)
  const { paths } = await (await trust()).read()
  return paths.some((one) => one.inventory === inventory && one.path === path)
}

/** Finds out which grants take a consent. */
export async function examineGrants(
  context: Consent,
  machine: MachineName,
  grants: readonly Grant[],
): Promise<readonly FoundGrant[]> {
  const { location } = await context.inventory()
  const found = grants.map(async ({ what, path, isOddSocket = false }): Promise<FoundGrant> => {
    if (path === undefined) return { machine, what }
    const { path: real, isInside } = await followPath(location, path)
    const isTaken = isInside && !isOddSocket
    if (isTaken || (await isAllowed(context, location, real))) return { machine, what }
    return { machine, what, outside: real, why: reasons[isOddSocket ? 'socket' : 'folder'] }
  })
  return Promise.all(found)
}

/**
 * What the host of a machine is given of this computer and of its network: by its options, and by its user-data where it is new. An
 * inventory comes from others: none of it may be news to the person.
 */
async function findGrants(
  context: Consent,
  { name, driver, userData }: Pick<Machine, 'name' | 'driver' | 'userData'>,
  options: Options,
): Promise<readonly FoundGrant[]> {
  const definition = await context.driver(driver)
  return examineGrants(context, name, [
    ...(definition.grants?.(options) ?? []),
    ...(userData === undefined ? [] : [{ what: `user-data ${userData}` }]),
  ])
}

/** What the entry of a machine, its profiles and the defaults say of options. */
const saidOptions = ({ driver, options }: Machine, { defaults }: Inventory): Options => ({
  ...defaults[driver],
  ...options,
})

/** What a change of a plan gives the host of its machine. */
export async function grantsOfChange(
  context: Consent,
  inventory: Inventory,
  machine: Machine,
  { action, options = [] }: Pick<Change, 'action' | 'options'>,
): Promise<readonly FoundGrant[]> {
  const said = saidOptions(machine, inventory)
  if (action === 'create' || action === 'replace') return findGrants(context, machine, said)
  const { userData: _ofNewHosts, ...existing } = machine
  if (action === 'adopt') return findGrants(context, existing, said)
  if (action !== 'change') return []
  const changed = options.map(({ option }) => [option, said[option]] as const)
  return findGrants(context, existing, Object.fromEntries(changed))
}

/** A grant in words. */
export const describeGrant = ({ what, why }: FoundGrant): string =>
  why === undefined ? what : `${what} (${why})`

/** The words of a command line that allow what is outside. */
const allowWords = (grants: readonly FoundGrant[]): string =>
  [...new Set(grants.flatMap(({ outside }) => outside ?? []))]
    .map((path) => shellLine(['--allow-path', path]))
    .join(' ')

/** Throws kind `usage` where some of this takes a consent that the person has not given. `command` is what could give it. */
export function requireAllowed(grants: readonly FoundGrant[], command: string): void {
  const outside = grants.filter((grant) => grant.outside !== undefined)
  if (outside.length === 0) return
  const [first] = outside
  const all = outside.map((grant) => `${grant.machine}: ${describeGrant(grant)}`).join('\n')
  throw new UserError(
    'usage',
    `the inventory gives machines access to this computer that you have not allowed yet:\n${all}`,
    {
      ...(outside.length === 1 && { machine: first?.machine }),
      hint: `to allow it: ${command} ${allowWords(outside)}`,
    },
  )
}

/** Throws kind `usage` where the host of a machine would be given what the person has not allowed. */
export async function checkGrants(
  context: Consent,
  machine: Pick<Machine, 'name' | 'driver' | 'userData'>,
  options: Options,
  command: string,
): Promise<void> {
  requireAllowed(await findGrants(context, machine, options), command)
}

/**
 * Throws kind `usage` where the engine of a machine that is this computer is said to listen on a socket that is neither usual for
 * an engine nor allowed by this person: an inventory comes from others, and any program may listen there.
 */
export async function checkEngineSocket(
  context: Consent & Pick<Context, 'env'>,
  machine: MachineName,
  path: string,
): Promise<void> {
  if (isEngineSocket(path, context.env)) return
  const what = `Docker engine of this computer, at the socket ${path}`
  const grants = await examineGrants(context, machine, [{ what, path, isOddSocket: true }])
  requireAllowed(grants, 'fleet apply')
}

/** Remembers that hosts of this inventory may have these files and folders of this computer. */
export async function allowPaths(
  { inventory, trust }: Consent,
  paths: readonly string[],
): Promise<void> {
  if (paths.length === 0) return
  const location = await realpath((await inventory()).location)
  const real = await Promise.all(paths.map((path) => realpath(path).catch(() => resolve(path))))
  await (
    await trust()
  ).update((before) => {
    const others = before.paths.filter(
      (one) => one.inventory !== location || !real.includes(one.path),
    )
    const added = [...new Set(real)].map((path) => ({ inventory: location, path }))
    return { ...before, paths: [...others, ...added] }
  })
}

/** As {@link allowPaths}, of what the person has typed as options of a driver. */
export async function allowTyped(
  context: Consent,
  machine: Pick<Machine, 'name' | 'driver'>,
  options: Options,
): Promise<void> {
  const grants = await findGrants(context, machine, options)
  await allowPaths(
    context,
    grants.flatMap(({ outside }) => outside ?? []),
  )
}
