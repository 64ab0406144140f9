import { setMaxListeners } from 'node:events'
import { dirname, join } from 'node:path'
import { childPath } from '../os/child-path.ts'
import { isBuiltIn } from '../drivers/driver-names.ts'
import type { Driver, DriverDefinition } from '../drivers/driver.ts'
import type { DriverPackage } from '../drivers/external/find-package.ts'
import { lazy, memoizeByName } from '../os/memoize.ts'
import type { TextEdit } from '../state/inventory/file-inventory.ts'
import type { AuditedInventory } from '../operations/inventory/audit-changes.ts'
import { createClock } from '../operations/clock.ts'
import type { Context } from '../operations/context.ts'
import { type HostedFleet, type OpenConnections, openConnections } from './connections.ts'
import { openCreations } from '../state/home/creations.ts'
import { openKeys } from '../state/home/keys.ts'
import { checkHome } from '../state/home/home.ts'
import { locateHome } from '../state/home/locate-home.ts'
import { openRemovals } from '../state/home/removals.ts'
import type { Inventory } from '../state/inventory/inventory.ts'
import { openProviderScopes } from '../state/home/provider-scopes.ts'
import type { SshIncludes } from '../state/external/ssh-includes.ts'
import { cachePrompts } from '../transport/cache-prompts.ts'
import type { Io } from '../ui/io.ts'
import { askQuestion, canPrompt } from '../ui/prompt.ts'

/** The context of one command. Disposing it closes the command's connections. */
export interface Fleet
  extends Context, Pick<OpenConnections, 'broker' | 'isConnected'>, AsyncDisposable {
  with(change: { readonly signal: AbortSignal }): Fleet
  /**
   * Commits the command's changes to the inventory if the inventory sets `audit: git`. If the commit fails, resolves to
   * the reason.
   */
  audit(verb: string): Promise<string | undefined>
  /** The ssh configuration for the machines of this inventory. */
  sshIncludes(): Promise<SshIncludes>
}

/** Options for commands that run in the broker. */
export interface FleetOptions {
  /** Set if the command runs in the broker. */
  readonly hosted?: HostedFleet | undefined
}

/**
 * Creates the context of one command. Nothing is loaded, read or connected until it is needed. `inventoryFile` is the
 * value of `--inventory`.
 */
export function openFleet(
  io: Io,
  inventoryFile: string | undefined,
  { hosted }: FleetOptions = {},
): Fleet {
  const { env, cwd } = io
  const home = locateHome(env)
  checkHome(home, env)
  const keys = openKeys(home)
  const creations = openCreations(home)
  const removals = openRemovals(home)
  const namedInventory = inventoryFile || env['FLEET_INVENTORY'] || undefined
  const closing = new AbortController()
  const signal = AbortSignal.any([io.signal, closing.signal])
  setMaxListeners(0, signal) // one listener is added for each connected machine

  const clock = createClock()
  const watching = io.screen.onQuestion((isOpen) => (isOpen ? clock.pause() : clock.resume()))

  const locate = lazy(async () => {
    const { findInventory } = await import('../state/inventory/find-inventory.ts')
    return findInventory({ named: namedInventory, cwd, home, env, trust })
  })

  const edits: TextEdit[] = []
  let audited: Promise<AuditedInventory> | undefined
  const inventory = async () => {
    audited ??= openStore().then(async (store) => {
      const { auditInventory } = await import('../operations/inventory/audit-changes.ts')
      return auditInventory(store, edits, env)
    })
    return (await audited).store
  }

  const openStore = lazy(async () => {
    const { openFileInventory } = await import('../state/inventory/file-inventory.ts')
    const { openInventoryCache } = await import('../state/inventory/cache.ts')
    const store = openFileInventory(await locate(), {
      // Reading an inventory never runs a driver package's code, even if the package is trusted.
      async loadOptions() {
        const { drivers } = await import('../drivers/index.ts')
        const known = new Map<string, DriverDefinition>(drivers.map((own) => [own.name, own]))
        return { optionsOf: (name) => known.get(name)?.options }
      },
      cache: openInventoryCache(
        join(home, 'cache', 'inventories'),
        io.program?.build ?? import.meta.url,
        hosted?.inventories,
      ),
      onWritten: (edit) => edits.push(edit),
      searchedFrom: namedInventory ? undefined : cwd,
    })
    // Until the inventory has been read, there is nothing to clean up, so signals simply end the process.
    const read = (): Promise<Inventory> => store.read().finally(() => io.handleSignals?.())
    return { ...store, read }
  })

  const trust = lazy(async () => {
    const { openTrust } = await import('../state/home/trust.ts')
    return openTrust(home)
  })

  const checkTrust = async (driverPackage: DriverPackage): Promise<string> => {
    const { checkDriverTrust } = await import('../operations/trust/check-driver-trust.ts')
    return checkDriverTrust(fleet, driverPackage)
  }

  const findDriver = async (name: string): Promise<DriverDefinition> => {
    // The broker is long-lived and holds all connections, so it never loads the code of driver packages.
    if (hosted !== undefined && !isBuiltIn(name)) return hosted.fallBack()
    const { findDriver } = await import('../drivers/index.ts')
    const location = { folder: dirname(await locate()), env, checkTrust }
    return findDriver(name, location)
  }

  const loadedDrivers = memoizeByName<Driver>()
  const { dispose, ...connections } = openConnections({ io, home, hosted, context: () => fleet })

  const fleet: Fleet = {
    signal,
    with: (change) => ({ ...fleet, ...change }),
    env,
    hosted,
    clock,
    inventoryFile: namedInventory,
    machineFromEnvironment: env['FLEET_MACHINE'] || undefined,
    prompt: canPrompt(io) ? cachePrompts((question) => askQuestion(io, question)) : undefined,
    inventory,
    active: lazy(async () => {
      const { openActive } = await import('../state/home/active.ts')
      return openActive(home, await locate())
    }),
    failures: lazy(async () => {
      const { openLastFailures } = await import('../state/home/last-failures.ts')
      return openLastFailures(home, await locate())
    }),
    trust,
    program: io.program?.file,
    keys: () => keys,
    creations: () => creations,
    removals: () => removals,
    providerScopes: () => openProviderScopes(home),
    diskImages: lazy(async () => {
      const { locateCache } = await import('../disk-images/cache-folder.ts')
      const { openDiskImages } = await import('../disk-images/disk-images.ts')
      const { readTar } = await import('../operations/copy/archive/read-tar.ts')
      return openDiskImages(locateCache(env), readTar)
    }),
    driver: findDriver,
    loadDriver: (name) =>
      loadedDrivers.get(name, async () =>
        (await findDriver(name)).load(childPath(home, name), { env, ask: fleet.prompt }),
      ),
    ...connections,
    audit: async (verb) => (await audited)?.commit(verb),
    async sshIncludes() {
      const { openSshIncludes } = await import('../state/external/ssh-includes.ts')
      return openSshIncludes(home, (await (await inventory()).read()).id, env)
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      watching[Symbol.dispose]()
      await dispose()
    },
  }
  return fleet
}
