import type { FoundHost, Lifecycle } from '../drivers/driver.ts'
import { UserError } from '../errors.ts'
import type { Inventory } from '../state/inventory.ts'
import type { Context, Progress } from './context.ts'
import type { RemoveCalls } from './remove-machine.ts'

/** What exists at a provider under this fleet's tag, and no entry owns. */
export interface Orphan extends FoundHost {
  readonly driver: string
}

/** The drivers that the inventory uses. */
const driversOf = ({ machines, defaults }: Inventory): string[] => [
  ...new Set([...[...machines.values()].map(({ driver }) => driver), ...Object.keys(defaults)]),
]

/** Where a driver's hosts may be: its options in the defaults, and of each machine. */
const optionsOf = ({ machines, defaults }: Inventory, driver: string) => [
  defaults[driver] ?? {},
  ...[...machines.values()]
    .filter((machine) => machine.driver === driver)
    .map(({ options = {} }) => ({ ...defaults[driver], ...options })),
]

async function lifecycleOf(context: Context, driver: string): Promise<Lifecycle | undefined> {
  return (await context.loadDriver(driver)).lifecycle
}

/**
 * Finds what was made for machines of this inventory and no entry owns, at the providers of `drivers`, else of all drivers
 * that the inventory uses. Removes nothing. Throws kind `unsupported` for a driver named that makes no hosts.
 */
export async function findOrphans(
  context: Context,
  drivers: readonly string[] | undefined,
  progress: Progress,
): Promise<readonly Orphan[]> {
  const store = await context.inventory()
  const before = await store.read()
  const found: Orphan[] = []
  for (const driver of drivers ?? driversOf(before)) {
    const lifecycle = await lifecycleOf(context, driver)
    if (lifecycle === undefined) {
      if (drivers === undefined) continue
      throw new UserError('unsupported', `the driver ${driver} makes no hosts`, {
        hint: 'fleet gc looks for hosts that fleet made',
      })
    }
    progress(`look for what fleet made: ${driver}`)
    const scope = { id: before.id, options: optionsOf(before, driver) }
    const hosts = await lifecycle.list(scope, { signal: context.signal, progress })
    found.push(...hosts.map((host) => ({ ...host, driver })))
  }
  const hasEntry = entriesOf(await store.read()) // read last: what was begun meanwhile has its entry by now
  return found.filter((host) => !hasEntry(host))
}

/** Some providers answer an id in one spelling or another. */
const idOf = (driver: string, id = ''): string => `${driver} ${id.toLowerCase()}`

/** Whether an entry owns a host, by its token, or names one that it was adopted as, by its id. */
function entriesOf({ machines }: Inventory): (orphan: Orphan) => boolean {
  const all = [...machines.values()]
  const tokens = new Set(all.map(({ host }) => host?.token))
  const ids = new Set(all.map(({ driver, host }) => idOf(driver, host?.id)))
  return ({ driver, token, record: { id } }) =>
    tokens.has(token) || (id !== undefined && ids.has(idOf(driver, id)))
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
      throw new UserError('failed', `an entry owns what was made for ${machine} by now: it stays`)
    }
    await (await lifecycleOf(context, driver))?.remove(record, calls)
  })
}
