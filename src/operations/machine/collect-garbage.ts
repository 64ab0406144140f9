import { basename, dirname } from 'node:path'
import type { FoundHost, Lifecycle } from '../../drivers/driver.ts'
import { UserError, messageWithHint } from '../../errors.ts'
import { runGit } from '../../state/merge/git.ts'
import { type Inventory, inventoryOf } from '../../state/inventory/inventory.ts'
import { type ProviderScope, scopeOf, uniqueScopes } from '../../state/home/provider-scopes.ts'
import { readInventoryText } from '../../state/inventory/read-text.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { type HostOrigin, originIn } from '../create/host-tags.ts'
import type { RemoveCalls } from './remove-machine.ts'
import { ignored, traceError } from '../../os/trace.ts'

/** A host at a provider that is tagged with this inventory but has no entry in it. */
export interface Orphan extends FoundHost {
  readonly driver: string
  readonly origin: HostOrigin
}

/** An account or region that may contain hosts but could not be searched. */
interface SkippedPlace {
  readonly place: string
  readonly reason: string
}

/** The result of a search for orphans. */
interface FoundOrphans {
  readonly orphans: readonly Orphan[]
  readonly skipped: readonly SkippedPlace[]
}

/** The scope of a search for orphans. */
interface OrphanSearch {
  /** The drivers to ask; if absent, all drivers of the inventory. */
  readonly drivers?: readonly string[] | undefined
  /** Whether to search all accounts and regions that this inventory has ever used, instead of only the current ones. */
  readonly everywhere: boolean
  readonly progress: Progress
}

/** The accounts and regions of an inventory: those in its defaults, and those of each machine. */
const scopesOf = ({ machines, defaults }: Inventory): readonly ProviderScope[] => [
  ...Object.entries(defaults).map(([driver, options]) => ({ driver, options })),
  ...[...machines.values()].map(({ driver, options, host }) =>
    scopeOf(driver, { ...defaults[driver], ...options }, host?.resources),
  ),
]

/** The maximum number of versions of the inventory to read from git. */
const readVersions = 50

/** The options in old versions are not validated, since the drivers may support different options now. */
const uncheckedOptions = async () => ({ optionsOf: () => undefined })

/** The accounts and regions in earlier versions of the inventory in git. */
async function scopesInHistory(context: Context): Promise<readonly ProviderScope[]> {
  const { location } = await context.inventory()
  const [folder, file] = [dirname(location), basename(location)]
  const git = (...args: string[]) => runGit(folder, args, context.env)
  const log = await git('rev-list', `--max-count=${readVersions}`, 'HEAD', '--', file).catch(
    ignored('git', 'list earlier versions of the inventory'),
  )
  const commits = log?.code === 0 ? log.stdout.split('\n').filter((hash) => hash !== '') : []
  const found: ProviderScope[] = []
  for (const hash of commits) {
    const { code, stdout } = await git('cat-file', 'blob', `${hash}:./${file}`)
    if (code !== 0) continue // the file was removed in that commit
    try {
      found.push(...scopesOf(inventoryOf(await readInventoryText(stdout, file, uncheckedOptions))))
    } catch (error) {
      // ignore versions that fleet cannot read
      traceError('inventory', 'read an earlier version of the inventory', error)
    }
  }
  return uniqueScopes(found)
}

async function lifecycleOf(context: Context, driver: string): Promise<Lifecycle | undefined> {
  return (await context.loadDriver(driver)).lifecycle
}

/** The drivers to ask, sorted by name. Throws kind `unsupported` for a requested driver that does not create hosts. */
async function driversToAsk(
  context: Context,
  scopes: readonly ProviderScope[],
  { drivers }: OrphanSearch,
): Promise<readonly string[]> {
  if (drivers === undefined) return [...new Set(scopes.map(({ driver }) => driver))].sort()
  for (const driver of drivers) {
    if ((await lifecycleOf(context, driver)) !== undefined) continue
    throw new UserError('unsupported', `the ${driver} driver does not create hosts`, {
      hint: 'fleet gc looks only for hosts that fleet created',
    })
  }
  return drivers
}

/**
 * Finds hosts that were created for machines of this inventory but have no entry. Providers that cannot be queried are
 * listed in the result and do not stop the search. Removes nothing.
 */
export async function findOrphans(context: Context, search: OrphanSearch): Promise<FoundOrphans> {
  const { everywhere, progress } = search
  const store = await context.inventory()
  const before = await store.read()
  const scopes = [
    ...scopesOf(before),
    ...(everywhere ? await context.providerScopes().read(before.id) : []),
    ...(everywhere ? await scopesInHistory(context) : []),
  ]
  const found: Orphan[] = []
  const skipped: SkippedPlace[] = []
  for (const driver of await driversToAsk(context, scopes, search)) {
    try {
      const lifecycle = await lifecycleOf(context, driver)
      if (lifecycle === undefined) continue
      progress(`look for unmanaged hosts: ${driver}`)
      const ofDriver = scopes.filter((scope) => scope.driver === driver)
      const hosts = await lifecycle.list(
        {
          id: before.id,
          options: ofDriver.map(({ options }) => options),
          everywhere,
          onSkipped: (place, reason) => skipped.push({ place: `${driver}: ${place}`, reason }),
        },
        { signal: context.signal, progress },
      )
      found.push(...hosts.map((host) => ({ ...host, driver, origin: originIn(host.tags) })))
    } catch (error) {
      context.signal.throwIfAborted()
      if (!(error instanceof UserError)) throw error
      skipped.push({ place: driver, reason: messageWithHint(error) })
    }
  }
  const hasEntry = entriesOf(await store.read()) // read last, to include the entries of hosts created during the search
  return { orphans: found.filter((host) => !hasEntry(host)), skipped }
}

/** Uses the ID in lower case, since some providers vary its case. */
const idOf = (driver: string, id = ''): string => `${driver} ${id.toLowerCase()}`

/**
 * Creates a function that checks whether a host has an entry: one with the same token or, for an adopted host, the same
 * ID.
 */
function entriesOf({ machines }: Inventory): (orphan: Omit<Orphan, 'origin'>) => boolean {
  const all = [...machines.values()]
  const tokens = new Set(all.map(({ host }) => host?.token))
  const ids = new Set(all.map(({ driver, host }) => idOf(driver, host?.id)))
  return ({ driver, token, record: { id } }) =>
    tokens.has(token) || (id !== undefined && ids.has(idOf(driver, id)))
}

/**
 * The minimum age of an orphan, in milliseconds. A younger host may belong to a clone of the inventory whose changes
 * have not been merged yet.
 */
const minAgeMs = 24 * 60 * 60_000

/** The reason to keep an orphan unless the user names it; undefined if it can be removed. */
export function reasonToKeep({ origin }: Pick<Orphan, 'origin'>, now: Date): string | undefined {
  if (origin.protected) return 'the host is protected'
  if (origin.created === undefined) return "the host's age is unknown"
  const age = now.getTime() - new Date(origin.created).getTime()
  return age < minAgeMs ? 'the host is less than a day old' : undefined
}

/**
 * Removes an orphan with all its resources. Throws kind `failed` when the host now has an entry, and as the driver does
 * when resources cannot be removed.
 */
export async function removeOrphan(
  context: Context,
  orphan: Orphan,
  calls: RemoveCalls,
): Promise<void> {
  const { driver, machine, token, record } = orphan
  await context.creations().withLock(token, machine, async () => {
    const inventory = await (await context.inventory()).read()
    if (entriesOf(inventory)(orphan)) {
      throw new UserError(
        'failed',
        `${machine} is in the inventory again, so its host was not removed`,
      )
    }
    await (await lifecycleOf(context, driver))?.remove(record, calls)
  })
}
