import { basename, dirname } from 'node:path'
import type { FoundHost, Lifecycle } from '../../drivers/driver.ts'
import { UserError, messageWithHint } from '../../errors.ts'
import { runGit } from '../../state/merge/git.ts'
import { type Inventory, inventoryOf } from '../../state/inventory/inventory.ts'
import { type ProviderScope, scopeOf, uniqueScopes } from '../../state/home/provider-scopes.ts'
import { readInventoryText } from '../../state/inventory/read-text.ts'
import type { Context, Progress } from '../context.ts'
import { type HostOrigin, originIn } from '../create/host-tags.ts'
import type { RemoveCalls } from './remove-machine.ts'

/** What exists at a provider under this fleet's tag, and no entry owns. */
export interface Orphan extends FoundHost {
  readonly driver: string
  readonly origin: HostOrigin
}

/** A place that may have hosts, and could not be asked. */
interface UnaskedPlace {
  readonly place: string
  readonly reason: string
}

/** What was found, as far as the providers could be asked. */
interface FoundOrphans {
  readonly orphans: readonly Orphan[]
  readonly unasked: readonly UnaskedPlace[]
}

/** Where to look. */
interface OrphanSearch {
  /** The drivers to ask; else all that the inventory leads to. */
  readonly drivers?: readonly string[] | undefined
  /** Whether to look everywhere that this inventory ever led to, and in all regions of its accounts; else only where it leads to now. */
  readonly everywhere: boolean
  readonly progress: Progress
}

/** Where an inventory leads to: its defaults, and the options of each machine. */
const scopesOf = ({ machines, defaults }: Inventory): readonly ProviderScope[] => [
  ...Object.entries(defaults).map(([driver, options]) => ({ driver, options })),
  ...[...machines.values()].map(({ driver, options, host }) =>
    scopeOf(driver, { ...defaults[driver], ...options }, host?.resources),
  ),
]

/** Versions of the file in git that are read at most. */
const readVersions = 50

/** Old versions need not be right for the drivers of today. */
const uncheckedOptions = async () => ({ optionsOf: () => undefined })

/** Where earlier versions of the inventory led to, as far as git has them. */
async function scopesInHistory(context: Context): Promise<readonly ProviderScope[]> {
  const { location } = await context.inventory()
  const [folder, file] = [dirname(location), basename(location)]
  const git = (...args: string[]) => runGit(folder, args, context.env)
  const log = await git('rev-list', `--max-count=${readVersions}`, 'HEAD', '--', file).catch(
    () => undefined,
  )
  const commits = log?.code === 0 ? log.stdout.split('\n').filter((hash) => hash !== '') : []
  const found: ProviderScope[] = []
  for (const hash of commits) {
    const { code, stdout } = await git('cat-file', 'blob', `${hash}:./${file}`)
    if (code !== 0) continue // removed in that commit
    try {
      found.push(...scopesOf(inventoryOf(await readInventoryText(stdout, file, uncheckedOptions))))
    } catch {
      // a version that fleet cannot read leads nowhere
    }
  }
  return uniqueScopes(found)
}

async function lifecycleOf(context: Context, driver: string): Promise<Lifecycle | undefined> {
  return (await context.loadDriver(driver)).lifecycle
}

/** The drivers to ask, in the order of their names. Throws kind `unsupported` for one named that makes no hosts. */
async function driversToAsk(
  context: Context,
  scopes: readonly ProviderScope[],
  { drivers }: OrphanSearch,
): Promise<readonly string[]> {
  if (drivers === undefined) return [...new Set(scopes.map(({ driver }) => driver))].sort()
  for (const driver of drivers) {
    if ((await lifecycleOf(context, driver)) !== undefined) continue
    throw new UserError('unsupported', `the driver ${driver} does not create hosts`, {
      hint: 'fleet gc looks for hosts that fleet created',
    })
  }
  return drivers
}

/**
 * Finds what was made for machines of this inventory and no entry owns. A provider that cannot be asked is named in the answer,
 * and the others are asked all the same. Removes nothing.
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
  const unasked: UnaskedPlace[] = []
  for (const driver of await driversToAsk(context, scopes, search)) {
    try {
      const lifecycle = await lifecycleOf(context, driver)
      if (lifecycle === undefined) continue
      progress(`look for hosts without an entry: ${driver}`)
      const ofDriver = scopes.filter((scope) => scope.driver === driver)
      const hosts = await lifecycle.list(
        {
          id: before.id,
          options: ofDriver.map(({ options }) => options),
          everywhere,
          onUnasked: (place, reason) => unasked.push({ place: `${driver}: ${place}`, reason }),
        },
        { signal: context.signal, progress },
      )
      found.push(...hosts.map((host) => ({ ...host, driver, origin: originIn(host.tags) })))
    } catch (error) {
      context.signal.throwIfAborted()
      if (!(error instanceof UserError)) throw error
      unasked.push({ place: driver, reason: messageWithHint(error) })
    }
  }
  const hasEntry = entriesOf(await store.read()) // read last: what was begun meanwhile has its entry by now
  return { orphans: found.filter((host) => !hasEntry(host)), unasked }
}

/** Some providers answer an id in one spelling or another. */
const idOf = (driver: string, id = ''): string => `${driver} ${id.toLowerCase()}`

/** Whether an entry owns a host, by its token, or names one that it was adopted as, by its id. */
function entriesOf({ machines }: Inventory): (orphan: Omit<Orphan, 'origin'>) => boolean {
  const all = [...machines.values()]
  const tokens = new Set(all.map(({ host }) => host?.token))
  const ids = new Set(all.map(({ driver, host }) => idOf(driver, host?.id)))
  return ({ driver, token, record: { id } }) =>
    tokens.has(token) || (id !== undefined && ids.has(idOf(driver, id)))
}

/** Hosts that were made within this time may be those of a clone whose inventory is not merged yet, in milliseconds. */
const youngFor = 24 * 60 * 60_000

/** Why an orphan is kept unless it is named; undefined where nothing speaks for it. */
export function reasonToKeep({ origin }: Pick<Orphan, 'origin'>, now: Date): string | undefined {
  if (origin.protected) return 'it is protected'
  if (origin.created === undefined) return 'its age is unknown'
  const age = now.getTime() - new Date(origin.created).getTime()
  return age < youngFor ? 'it is less than a day old' : undefined
}

/**
 * Removes an orphan with all that belongs to it. Throws kind `failed` when an entry owns it by now, and as
 * the driver does for what cannot be removed.
 */
export async function removeOrphan(
  context: Context,
  orphan: Orphan,
  calls: RemoveCalls,
): Promise<void> {
  const { driver, machine, token, record } = orphan
  await context.creations().hold(token, machine, async () => {
    const inventory = await (await context.inventory()).read()
    if (entriesOf(inventory)(orphan)) {
      throw new UserError('failed', `${machine} has an entry again, so its host was not removed`)
    }
    await (await lifecycleOf(context, driver))?.remove(record, calls)
  })
}
