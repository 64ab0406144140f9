import type { Driver, DriverDefinition } from '../drivers/driver.ts'
import type { DiskImages } from '../disk-images/disk-images.ts'
import type { Engine } from '../engine/engine.ts'
import type { Machine } from '../machine/machine.ts'
import type { ActiveMachine } from '../state/home/active.ts'
import type { Creations } from '../state/home/creations.ts'
import type { LastFailures } from '../state/home/last-failures.ts'
import type { Keys } from '../state/home/keys.ts'
import type { Removals } from '../state/home/removals.ts'
import type { InventoryStore } from '../state/inventory/inventory.ts'
import type { Trust } from '../state/home/trust.ts'
import type { ProviderScopes } from '../state/home/provider-scopes.ts'
import type { Prompt } from '../transport/ssh/connect.ts'
import type { EngineSocket, ProcessRef, Transport } from '../transport/transport.ts'
import type { Progress } from '../os/progress.ts'
import type { Clock } from './clock.ts'
import type { Environment } from '../os/environment.ts'

/** Callbacks for an operation that runs in the broker instead of the client process. */
export interface InBroker {
  /** Called before the first step that must not run twice. After that, the broker finishes the command. */
  commit(): void
  /** Throws an error that makes the client process run the command itself. Not allowed after `commit`. */
  fallBack(): never
}

/** The user's files: the inventory, and the files in fleet's home directory. Each is opened when it is first used. */
export interface Stores {
  /** The path given with `--inventory`, or else the value of `$FLEET_INVENTORY`. */
  readonly inventoryFile: string | undefined
  /** The inventory that applies to the current directory. Throws kind `inventory` when there is none. */
  inventory(): Promise<InventoryStore>
  /** The active machine for this user and inventory. */
  active(): Promise<ActiveMachine>
  /** The machines on which the last command that ran on several machines failed, for this user and inventory. */
  failures(): Promise<LastFailures>
  /** The drivers, inventories and paths that this user trusts. */
  trust(): Promise<Trust>
  keys(): Keys
  creations(): Creations
  removals(): Removals
  /** The accounts and regions in which this user's inventories have had hosts. */
  providerScopes(): ProviderScopes
  /** Disk images and their cache. */
  diskImages(): Promise<DiskImages>
}

/** The drivers: fleet's own, and those in packages that the user trusts. */
export interface Drivers {
  /** Returns the driver with the given name. Throws kind `usage` with the nearest known name. */
  driver(name: string): Promise<DriverDefinition>
  /**
   * The code of a driver. It is loaded only once, so that its cached look-ups serve all machines. Throws as `driver`
   * does.
   */
  loadDriver(name: string): Promise<Driver>
}

/** Connections to hosts and their engines. Shared connections are closed at the end of the command. */
export interface Connections {
  /** The shared connection to a machine, opened when it is first used and closed at the end of the command. */
  connect(machine: Machine): Promise<Transport>
  /**
   * Like `connect`, but opens a separate connection that no other process uses, for transfers that are long enough to
   * be worth a login. Resolves to the shared connection if a login would have to prompt, or if the machine has a jump
   * host.
   */
  connectApart(machine: Machine): Promise<Transport>
  /** The engine of a machine, over the shared connection. */
  engine(machine: Machine): Promise<Engine>
  /**
   * A local Unix socket that forwards to the machine's engine, for use by other programs. It exists until the command
   * ends.
   */
  engineSocket(machine: Machine): Promise<EngineSocket>
  /**
   * Like `engineSocket`, but the socket exists until the process `holder` ends or, if `holder` is `context`, until the
   * docker context is removed. Resolves to its path. Throws kind `unsupported` if no broker can serve it.
   */
  keepEngineSocket(machine: Machine, holder: ProcessRef | 'context'): Promise<string>
  /** Removes the engine sockets with these file names, which no docker context needs anymore. */
  forgetEngineSockets(files: readonly string[]): Promise<void>
}

/** The dependencies of operations. `src/app/fleet.ts` creates the real ones, each when it is first used. */
export interface Context extends Stores, Drivers, Connections {
  readonly signal: AbortSignal
  /**
   * Returns this context with another abort signal, for work that must be abortable separately: the work on one of
   * several machines, or a rollback after an interrupt.
   */
  with(change: { readonly signal: AbortSignal }): Context
  readonly env: Environment
  /** Present if the broker runs the command; absent if the client process does. */
  readonly hosted?: InBroker | undefined
  /** The value of `$FLEET_MACHINE`. */
  readonly machineFromEnvironment: string | undefined
  /** The path of the file that contains the running program; absent when it runs from source. */
  readonly program: string | undefined
  /** The clock for time limits on work on a host. */
  readonly clock: Clock
  /** Asks the user for a passphrase, a password or the like; absent if no one can answer. */
  readonly prompt: Prompt | undefined
}

/** Reports the steps of a rollback as details of the step that failed, so that the failed step stays visible. */
export const rollbackProgress =
  (failed: string, progress: Progress): Progress =>
  (step, detail) =>
    progress(failed, `undoing: ${detail === undefined ? step : `${step}: ${detail}`}`)
