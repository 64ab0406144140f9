import { setMaxListeners } from 'node:events'
import { dirname, join } from 'node:path'
import { below } from '../os/below.ts'
import type { Driver, DriverDefinition } from '../drivers/driver.ts'
import type { DriverPackage } from '../drivers/external/find-package.ts'
import { lazy, memoizeByName } from '../os/memoize.ts'
import type { TextEdit } from '../state/inventory/file-inventory.ts'
import type { AuditedInventory } from '../operations/inventory/audit-changes.ts'
import { createClock } from '../operations/clock.ts'
import type { Context } from '../operations/context.ts'
import { type HostedFleet, type Connections, openConnections } from './connections.ts'
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

/** The real parts, for one command. Disposing closes every connection it opened. */
export interface Fleet extends Context, Pick<Connections, 'broker'>, AsyncDisposable {
  /** Commits what the command wrote, where the inventory wants that. Resolves to why it could not be, if so. */
  audit(verb: string): Promise<string | undefined>
  /** What plain ssh is told of this inventory's machines. */
  sshIncludes(): Promise<SshIncludes>
}

/** How fleet is opened where less may be done than a person's own process does. */
export interface FleetOptions {
  /** There where the broker runs the command. */
  readonly hosted?: HostedFleet | undefined
}

/**
 * Opens fleet for one command. No part is loaded, nothing read and no connection made until it
 * is asked for. `inventoryFile` is the value of `--inventory`.
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
  const told = inventoryFile || env['FLEET_INVENTORY'] || undefined
  const closing = new AbortController()
  const signal = AbortSignal.any([io.signal, closing.signal])
  setMaxListeners(0, signal) // one for each machine that is connected to

  const clock = createClock()
  const watching = io.screen.onQuestion((isOpen) => (isOpen ? clock.pause() : clock.resume()))

  const locate = lazy(async () => {
    const { findInventory } = await import('../state/inventory/find-inventory.ts')
    return findInventory({ told, cwd, home, env, trust })
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
      // Reading an inventory runs no code of driver packages, trusted or not: fleet check and whatever needs the driver do.
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
      searchedFrom: told ? undefined : cwd,
    })
    // All that would have to be cleared away comes after the inventory was read.
    const read = (): Promise<Inventory> => store.read().finally(() => io.heedSignals?.())
    return { ...store, read }
  })

  const trust = lazy(async () => {
    const { openTrust } = await import('../state/home/trust.ts')
    return openTrust(home)
  })

  const vet = async (driverPackage: DriverPackage): Promise<string> => {
    const { vetPackage } = await import('../operations/trust/trust-driver.ts')
    return vetPackage(fleet, driverPackage)
  }

  const findDriver = async (name: string): Promise<DriverDefinition> => {
    const { drivers, findDriver } = await import('../drivers/index.ts')
    // The broker lives long and holds the connections: no code of packages is loaded into it, trusted or not.
    if (hosted !== undefined && !drivers.some((own) => own.name === name)) return hosted.leave()
    const place = { folder: dirname(await locate()), env, vet }
    return findDriver(name, place)
  }

  const loadedDrivers = memoizeByName<Driver>()
  const { dispose, ...reach } = openConnections({ io, home, hosted, context: () => fleet })

  const fleet: Fleet = {
    signal,
    env,
    hosted,
    clock,
    inventoryFile: told,
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
        (await findDriver(name)).load(below(home, name), { ask: fleet.prompt }),
      ),
    ...reach,
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
