import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Grant } from '../../drivers/grants.ts'
import { isEngineSocket } from '../../drivers/local/engine-sockets.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { resolvePath } from '../../state/inventory/resolve-path.ts'
import { shellLine } from '../../transport/command.ts'
import type { Change } from '../plan/change-plan.ts'
import type { Context } from '../context.ts'
import { ignored } from '../../os/trace.ts'

type Options = Readonly<Record<string, unknown>>

/** Access of a host to a resource of this computer, and, if the user has yet to allow it, the path and the reason. */
export interface FoundGrant {
  readonly machine: MachineName
  /** A noun phrase for messages, such as `the image /home/ana/disk.qcow2 on this computer`. */
  readonly what: string
  /** The real path, if it is outside the directory of the inventory and the user has not allowed it yet. */
  readonly outside?: string
  /** The reason why the user must allow it. */
  readonly why?: string
}

/** The reasons why the user must allow access. */
const reasons = {
  folder: 'outside the inventory directory',
  socket: 'not a known engine socket',
} as const

/** The parts of the context that are needed to check grants. */
export type GrantContext = Pick<Context, 'driver' | 'env' | 'inventory' | 'trust'>

/** Whether the user has allowed a path for the inventory at `location`. */
export async function isPathAllowed(
  { trust }: Pick<GrantContext, 'trust'>,
  location: string,
  path: string,
): Promise<boolean> {
  const inventory = await realpath(location)
  const { paths } = await (await trust()).read()
  return paths.some((one) => one.inventory === inventory && one.path === path)
}

/** Checks which grants the user has yet to allow, and sets `outside` and `why` for them. */
export async function examineGrants(
  context: GrantContext,
  machine: MachineName,
  grants: readonly Grant[],
): Promise<readonly FoundGrant[]> {
  const { location } = await context.inventory()
  const found = grants.map(async ({ what, path, isUnknownSocket = false }): Promise<FoundGrant> => {
    if (path === undefined) return { machine, what }
    const { path: real, isInside } = await resolvePath(location, path)
    const isTaken = isInside && !isUnknownSocket
    if (isTaken || (await isPathAllowed(context, location, real))) return { machine, what }
    return { machine, what, outside: real, why: reasons[isUnknownSocket ? 'socket' : 'folder'] }
  })
  return Promise.all(found)
}

/**
 * The access to this computer and its network that a machine's options give its host, and the user-data of a new host.
 * The inventory may come from others, so the user must see all of this access.
 */
async function findGrants(
  context: GrantContext,
  { name, driver, userData, engine }: Pick<Machine, 'name' | 'driver' | 'userData' | 'engine'>,
  options: Options,
): Promise<readonly FoundGrant[]> {
  const definition = await context.driver(driver)
  return examineGrants(context, name, [
    ...(definition.grants?.(options, context.env) ?? []),
    ...(userData === undefined ? [] : [{ what: `the user-data file ${userData}` }]),
    ...certificateGrants(engine),
  ])
}

/** The certificates that are copied to a host for its registries. */
const certificateGrants = (engine: Machine['engine']): readonly Grant[] =>
  typeof engine !== 'object'
    ? []
    : Object.entries(engine.registries ?? {}).flatMap(([registry, { ca }]) =>
        ca === undefined
          ? []
          : [{ what: `the CA certificates in ${ca} for the registry ${registry}` }],
      )

/** The options of a machine, combined with those of its profiles and the defaults. */
const effectiveOptions = ({ driver, options }: Machine, { defaults }: Inventory): Options => ({
  ...defaults[driver],
  ...options,
})

/** The access that a planned change gives to the host. */
export async function grantsOfChange(
  context: GrantContext,
  inventory: Inventory,
  machine: Machine,
  { action, options = [] }: Pick<Change, 'action' | 'options'>,
): Promise<readonly FoundGrant[]> {
  const values = effectiveOptions(machine, inventory)
  if (action === 'create' || action === 'replace') return findGrants(context, machine, values)
  if (action === 'engine-config') {
    const changed = new Set(options.map(({ option }) => option))
    const { engine } = machine
    const registries = Object.entries((typeof engine === 'object' && engine.registries) || {})
    const sent = registries.filter(([registry]) => changed.has(`CA of ${registry}`))
    const grants = certificateGrants({ registries: Object.fromEntries(sent) })
    return examineGrants(context, machine.name, grants)
  }
  const { userData: _ofNewHosts, engine: _ofOtherChanges, ...existing } = machine
  if (action === 'adopt') return findGrants(context, existing, values)
  if (action !== 'change') return []
  const changed = options.map(({ option }) => [option, values[option]] as const)
  return findGrants(context, existing, Object.fromEntries(changed))
}

/** Describes a grant as text. */
export const describeGrant = ({ what, why }: FoundGrant): string =>
  why === undefined ? what : `${what} (${why})`

/** The command-line options with which the user allows the paths. */
const allowWords = (grants: readonly FoundGrant[]): string =>
  [...new Set(grants.flatMap(({ outside }) => outside ?? []))]
    .map((path) => shellLine(['--allow-path', path]))
    .join(' ')

/**
 * Throws kind `usage` when there is a grant that the user has not allowed. `command` is the command to show in the
 * hint.
 */
export function requireAllowed(grants: readonly FoundGrant[], command: string): void {
  const outside = grants.filter((grant) => grant.outside !== undefined)
  if (outside.length === 0) return
  const [first] = outside
  const all = outside.map((grant) => `${grant.machine}: ${describeGrant(grant)}`).join('\n')
  throw new UserError(
    'usage',
    `the inventory uses resources on this computer that you have not allowed yet:\n${all}`,
    {
      ...(outside.length === 1 && { machine: first?.machine }),
      hint: `to allow access: ${command} ${allowWords(outside)}`,
    },
  )
}

/** Throws kind `usage` when the host of a machine would get access that the user has not allowed. */
export async function checkGrants(
  context: GrantContext,
  machine: Pick<Machine, 'name' | 'driver' | 'userData' | 'engine'>,
  options: Options,
  command: string,
): Promise<void> {
  requireAllowed(await findGrants(context, machine, options), command)
}

/**
 * Throws kind `usage` when the path of the engine socket on this computer, as given in the inventory, is neither a
 * known one nor allowed by the user: the inventory may come from others, and another program may listen on that socket.
 */
export async function checkEngineSocket(
  context: GrantContext,
  machine: MachineName,
  path: string,
): Promise<void> {
  if (isEngineSocket(path, context.env)) return
  const what = `the Docker engine on this computer, at the socket ${path}`
  const grants = await examineGrants(context, machine, [{ what, path, isUnknownSocket: true }])
  requireAllowed(grants, 'fleet apply')
}

/** Records that the hosts of this inventory may access these files and directories on this computer. */
export async function allowPaths(
  { inventory, trust }: GrantContext,
  paths: readonly string[],
): Promise<void> {
  if (paths.length === 0) return
  const location = await realpath((await inventory()).location)
  const real = await Promise.all(
    paths.map((path) =>
      realpath(path).catch(ignored('inventory', 'resolve a path', resolve(path))),
    ),
  )
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

/** Like {@link allowPaths}, for paths in options that the user has typed. */
export async function allowTyped(
  context: GrantContext,
  machine: Pick<Machine, 'name' | 'driver'>,
  options: Options,
): Promise<void> {
  const grants = await findGrants(context, machine, options)
  await allowPaths(
    context,
    grants.flatMap(({ outside }) => outside ?? []),
  )
}
