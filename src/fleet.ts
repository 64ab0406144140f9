import { setMaxListeners } from 'node:events'
import { dirname, join } from 'node:path'
import type { Driver, DriverDefinition } from './drivers/driver.ts'
import { once, perName } from './made-once.ts'
import type { AuditedInventory } from './operations/audit-changes.ts'
import type { Context } from './operations/context.ts'
import { type HostedFleet, type Reach, reachMachines } from './reach-machines.ts'
import { openCreations } from './state/creations.ts'
import { openKeys } from './state/keys.ts'
import { locateHome } from './state/locate-home.ts'
import type { SshIncludes } from './state/ssh-includes.ts'
import { shareAnswers } from './transport/share-answers.ts'
import type { Io } from './ui/io.ts'
import { askSecret, askText, canPrompt } from './ui/prompt.ts'

/** The real parts, for one command. Disposing closes every connection it opened. */
export interface Fleet extends Context, Pick<Reach, 'broker'>, AsyncDisposable {
  /** Where `--inventory`, else `$FLEET_INVENTORY`, says that the inventory is. */
  readonly inventoryFile: string | undefined
  /** Commits what the command wrote, where the inventory wants that. Resolves to why it could not be, if so. */
  audit(verb: string): Promise<string | undefined>
  /** What plain ssh is told of this inventory's machines. */
  sshIncludes(): Promise<SshIncludes>
}

/** How fleet is opened where less may be done than a person's own process does: at a Tab, in the broker. */
export interface Caution {
  /** Runs no code of driver packages for reading the inventory: options of such drivers go unchecked. */
  readonly readsOnly?: boolean
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
  { readsOnly = false, hosted }: Caution = {},
): Fleet {
  const { env, cwd } = io
  const home = locateHome(env)
  const keys = openKeys(home)
  const creations = openCreations(home)
  const told = inventoryFile || env['FLEET_INVENTORY'] || undefined
  const closing = new AbortController()
  const signal = AbortSignal.any([io.signal, closing.signal])
  setMaxListeners(0, signal) // one for each machine that is connected to

  const locate = once(async () => {
    const { findInventory } = await import('./state/find-inventory.ts')
    return findInventory({ told, cwd, home })
  })

  let audited: Promise<AuditedInventory> | undefined
  const inventory = async () => {
    audited ??= openStore().then(async (store) => {
      const { auditInventory } = await import('./operations/audit-changes.ts')
      return auditInventory(store, env)
    })
    return (await audited).store
  }

  const openStore = once(async () => {
    const { openFileInventory } = await import('./state/file-inventory.ts')
    const { openInventoryCache } = await import('./state/inventory-cache.ts')
    return openFileInventory(await locate(), {
      async loadOptions(names) {
        const { drivers } = await import('./drivers/index.ts')
        const known = new Map<string, DriverDefinition>(drivers.map((own) => [own.name, own]))
        const strangers = names.filter((name) => !known.has(name))
        const found = await Promise.allSettled(readsOnly ? [] : strangers.map(findDriver))
        for (const driver of found) {
          if (driver.status === 'fulfilled') known.set(driver.value.name, driver.value)
        }
        const optionsOf = (name: string) => known.get(name)?.options
        return { optionsOf, isLasting: strangers.length === 0 }
      },
      cache: openInventoryCache(
        join(home, 'cache', 'inventories'),
        io.program?.build ?? import.meta.url,
        hosted?.inventories,
      ),
    })
  })

  const findDriver = async (name: string): Promise<DriverDefinition> => {
    const { findDriver } = await import('./drivers/index.ts')
    return findDriver(name, { folder: dirname(await locate()), env })
  }

  const loadedDrivers = perName<Driver>()
  const { dispose, ...reach } = reachMachines({ io, home, hosted, context: () => fleet })

  const fleet: Fleet = {
    signal,
    env,
    hosted,
    inventoryFile: told,
    machineFromEnvironment: env['FLEET_MACHINE'] || undefined,
    prompt: canPrompt(io)
      ? shareAnswers(({ text, secret }) => (secret ? askSecret(io, text) : askText(io, text)))
      : undefined,
    inventory,
    active: once(async () => {
      const { openActive } = await import('./state/active.ts')
      return openActive(home, await locate())
    }),
    failures: once(async () => {
      const { openLastFailures } = await import('./state/last-failures.ts')
      return openLastFailures(home, await locate())
    }),
    keys: () => keys,
    creations: () => creations,
    diskImages: once(async () => {
      const { locateCache } = await import('./disk-images/cache-folder.ts')
      const { openDiskImages } = await import('./disk-images/disk-images.ts')
      return openDiskImages(locateCache(env))
    }),
    driver: findDriver,
    loadDriver: (name) =>
      loadedDrivers.get(name, async () => (await findDriver(name)).load(join(home, name))),
    ...reach,
    audit: async (verb) => (await audited)?.commit(verb),
    async sshIncludes() {
      const { openSshIncludes } = await import('./state/ssh-includes.ts')
      return openSshIncludes(home, (await (await inventory()).read()).id, env)
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      await dispose()
    },
  }
  return fleet
}
