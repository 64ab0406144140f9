import { setMaxListeners } from 'node:events'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Driver, DriverDefinition } from './drivers/driver.ts'
import type { Engine } from './engine/engine.ts'
import { UserError } from './errors.ts'
import { type Machine, type ReadyMachine, hostOf } from './machine/machine.ts'
import type { AuditedInventory } from './operations/audit-changes.ts'
import type { Context, Hosted } from './operations/context.ts'
import type { ServedSocket } from './operations/engine-socket.ts'
import { openCreations } from './state/creations.ts'
import { locateHome } from './state/locate-home.ts'
import { openKeys } from './state/keys.ts'
import type { Broker } from './transport/broker/client.ts'
import type { BrokerTarget } from './transport/broker/protocol.ts'
import type { ReadInventories } from './state/inventory-cache.ts'
import type { SshIncludes } from './state/ssh-includes.ts'
import type { Transport } from './transport/transport.ts'
import type { Io } from './ui/io.ts'
import { askSecret, askText, canPrompt } from './ui/prompt.ts'

/** The real parts, for one command. Disposing closes every connection it opened. */
export interface Fleet extends Context, AsyncDisposable {
  /** Where `--inventory`, else `$FLEET_INVENTORY`, says that the inventory is. */
  readonly inventoryFile: string | undefined
  /** What keeps connections from one command to the next; undefined where every command makes its own. */
  broker(): Promise<Broker | undefined>
  /** Commits what the command wrote, where the inventory wants that. Resolves to why it could not be, if so. */
  audit(verb: string): Promise<string | undefined>
  /** What plain ssh is told of this inventory's machines. */
  sshIncludes(): Promise<SshIncludes>
}

/** Makes a value when it is first asked for. */
function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | undefined
  return () => (value ??= make())
}

/**
 * Makes a value for each name when it is first asked for, and all who ask share it. One that
 * could not be made is tried anew when it is asked for again.
 */
function perName<Value>() {
  const values = new Map<string, Promise<Value>>()
  return {
    values: () => values.values(),
    get(name: string, make: () => Promise<Value>): Promise<Value> {
      const known = values.get(name)
      if (known !== undefined) return known
      const value = make()
      values.set(name, value)
      value.catch(() => values.delete(name))
      return value
    },
  }
}

/** As {@link perName}, of what has to be closed in the end. */
function perMachine<Value extends AsyncDisposable>(make: (machine: Machine) => Promise<Value>) {
  const values = perName<Value>()
  return {
    get: (machine: Machine): Promise<Value> => values.get(machine.name, () => make(machine)),
    async dispose(): Promise<void> {
      const made = await Promise.allSettled(values.values())
      await Promise.all(
        made
          .filter((result) => result.status === 'fulfilled')
          .map(({ value }) => value[Symbol.asyncDispose]()),
      )
    },
  }
}

const brokerMissing = (): UserError =>
  new UserError(
    'unsupported',
    'other programs reach engines through the broker, and there is none',
    {
      hint: 'unset FLEET_BROKER; Windows has no broker yet: use fleet docker there',
    },
  )

/** Where an engine listens on its machine. */
const socketOf = (machine: Machine): string => hostOf(machine).socket ?? '/var/run/docker.sock'

/** What the broker gives to a command that it runs itself: no host is looked up or connected to otherwise. */
interface HostedFleet extends Hosted {
  readonly inventories: ReadInventories
  /** The way to a host, undefined being this computer; throws where the command's own process is to connect. */
  connect(
    target: BrokerTarget | undefined,
    env: Readonly<Record<string, string | undefined>>,
  ): Promise<Transport>
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

  const broker = once(async () => {
    const { program } = io
    // Windows has pipes that cannot be ended one way and not the other; commands there connect by themselves.
    if (program === undefined || env['FLEET_BROKER'] === 'off' || process.platform === 'win32') {
      return undefined
    }
    const { openBroker } = await import('./transport/broker/client.ts')
    const { placeOfSockets } = await import('./transport/broker/place.ts')
    const folder = placeOfSockets(home, env)
    return openBroker({ folder, program: program.file, build: program.build, env })
  })

  const loadedDrivers = perName<Driver>()

  const transports = perMachine(async (machine): Promise<Transport> => {
    if (hosted !== undefined) {
      const { describeTarget } = await import('./operations/broker-target.ts')
      const isHere = hostOf(machine).address === undefined
      return hosted.connect(isHere ? undefined : await describeTarget(fleet, machine), env)
    }
    const { followHost } = await import('./operations/follow-host.ts')
    return followHost(fleet, machine, connect)
  })

  async function connect({ host, ...machine }: ReadyMachine): Promise<Transport> {
    if (host.address === undefined) {
      const { openLocal } = await import('./transport/local.ts')
      return openLocal(env)
    }
    const { connectJumpHost } = await import('./operations/jump-host.ts')
    const via = await connectJumpHost(fleet, machine)
    const options = { signal, env, prompt: fleet.prompt }
    const connectDirectly = async () => {
      const { connectSsh } = await import('./transport/ssh.ts')
      const { describeLogin } = await import('./operations/describe-login.ts')
      return connectSsh({ ...(await describeLogin(fleet, { ...machine, host })), via }, options)
    }
    const shared = await broker()
    if (shared === undefined) return connectDirectly()
    const { describeTarget } = await import('./operations/broker-target.ts')
    const target = await describeTarget(fleet, { ...machine, host })
    return shared.connect(target, options, connectDirectly)
  }

  const apart = perMachine(async (machine): Promise<Transport> => {
    const { connectSsh } = await import('./transport/ssh.ts')
    const { describeLogin } = await import('./operations/describe-login.ts')
    const target = await describeLogin(fleet, { ...machine, host: hostOf(machine) })
    return connectSsh({ ...target, via: undefined }, { signal, env })
  })

  async function openDial(machine: Machine) {
    const { dialEngine } = await import('./operations/reach-engine.ts')
    return dialEngine(await transports.get(machine), socketOf(machine), machine.name)
  }

  const engines = perMachine(async (machine): Promise<Engine> => {
    const { openEngine } = await import('./engine/http-engine.ts')
    return openEngine(await openDial(machine), {
      label: machine.name,
      release: machine.host?.engine,
    })
  })

  const engineSockets = perMachine(async (machine): Promise<ServedSocket> => {
    const { relay } = await transports.get(machine)
    if (relay) {
      const { nameEngineSocket } = await import('./operations/engine-socket-name.ts')
      return relay.serveEngine(socketOf(machine), await nameEngineSocket(fleet, machine))
    }
    const { serveEngineSocket } = await import('./operations/engine-socket.ts')
    return serveEngineSocket(await openDial(machine), env['TMPDIR'] ?? tmpdir())
  })

  const fleet: Fleet = {
    signal,
    env,
    hosted,
    inventoryFile: told,
    machineFromEnvironment: env['FLEET_MACHINE'] || undefined,
    prompt: canPrompt(io)
      ? ({ text, secret }) => (secret ? askSecret(io, text) : askText(io, text))
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
    broker,
    connect: (machine) => transports.get(machine),
    async connectApart(machine) {
      const shared = await transports.get(machine)
      if (shared.relay === undefined || machine.via !== undefined) return shared
      return apart.get(machine).catch(() => shared)
    },
    engine: (machine) => engines.get(machine),
    async engineSocket(machine) {
      if (hostOf(machine).address === undefined) return socketOf(machine)
      return (await engineSockets.get(machine)).path
    },
    async keepEngineSocket(machine, holder) {
      if (hostOf(machine).address === undefined) return socketOf(machine)
      const shared = await broker()
      if (shared === undefined) throw brokerMissing()
      const { describeTarget } = await import('./operations/broker-target.ts')
      const { nameEngineSocket } = await import('./operations/engine-socket-name.ts')
      const target = await describeTarget(fleet, machine)
      const file = await nameEngineSocket(fleet, machine)
      const engine = { target, env, path: socketOf(machine), file }
      return (await shared.serveEngine(engine, { env, signal }, holder)).path
    },
    forgetEngineSockets: async (files) => (await broker())?.forget(files),
    audit: async (verb) => (await audited)?.commit(verb),
    async sshIncludes() {
      const { openSshIncludes } = await import('./state/ssh-includes.ts')
      return openSshIncludes(home, (await (await inventory()).read()).id, env)
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      await engineSockets.dispose()
      await engines.dispose()
      await apart.dispose()
      await transports.dispose()
    },
  }
  return fleet
}
