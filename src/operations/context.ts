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
import type { Clock } from './clock.ts'

/** What an operation minds where the broker runs the command, and not the process that a person started. */
export interface InBroker {
  /** Called before what must not be done twice: from here on, the command is the broker's. */
  begin(): void
  /** Leaves the command to its own process, by throwing. Not after `begin`. */
  leave(): never
}

/** The parts that operations work with. `fleet.ts` makes the real ones, each when it is first used. */
export interface Context {
  readonly signal: AbortSignal
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absent where the command runs in a process of its own. */
  readonly hosted?: InBroker | undefined
  /** What `$FLEET_MACHINE` says. */
  readonly machineFromEnvironment: string | undefined
  /** The inventory that applies here. Throws kind `inventory` when there is none. */
  inventory(): Promise<InventoryStore>
  /** Which machine is active, for this person and inventory. */
  active(): Promise<ActiveMachine>
  /** On which machines the last command for several did not succeed, for this person and inventory. */
  failures(): Promise<LastFailures>
  /** Where `--inventory`, else `$FLEET_INVENTORY`, says that the inventory is. */
  readonly inventoryFile: string | undefined
  /** What this person trusts of what others have written. */
  trust(): Promise<Trust>
  /** The file of the running program; absent where it runs from its sources. */
  readonly program: string | undefined
  keys(): Keys
  creations(): Creations
  removals(): Removals
  /** Where hosts of this person's inventories ever were. */
  providerScopes(): ProviderScopes
  /** Images of disks, and the cache of them. */
  diskImages(): Promise<DiskImages>
  /** What the time of work on a host is taken by. */
  readonly clock: Clock
  /** Asks the person for a passphrase or the like; absent where there is nobody to ask. */
  readonly prompt: Prompt | undefined
  /** A driver by name. Throws kind `usage` with the nearest known name. */
  driver(name: string): Promise<DriverDefinition>
  /** Its code; loaded once, so that what it looked up for one machine serves the others. Throws as `driver` does. */
  loadDriver(name: string): Promise<Driver>
  /** The shared connection to a machine, opened when first asked for and closed at the end. */
  connect(machine: Machine): Promise<Transport>
  /**
   * As `connect`, for what takes long enough to pay for a login: a connection that no other process stands in. It is the
   * shared one where somebody would have to be asked, or where a jump host is on the way.
   */
  connectApart(machine: Machine): Promise<Transport>
  /** The engine of a machine, over the shared connection. */
  engine(machine: Machine): Promise<Engine>
  /** A local Unix socket that leads to the machine's engine, for other programs. Lives as long as the command. */
  engineSocket(machine: Machine): Promise<EngineSocket>
  /**
   * The same, which stays: as long as the process `holder`, or until contexts are taken away. Throws kind
   * `unsupported` where nothing could serve it.
   */
  keepEngineSocket(machine: Machine, holder: ProcessRef | 'context'): Promise<string>
  /** No context needs the engine sockets of these file names any more. */
  forgetEngineSockets(files: readonly string[]): Promise<void>
}

/** Reports what happens to one machine while it happens: the step, and what is new about one that goes on. */
export type Progress = (step: string, detail?: string) => void

/** Tells the steps of undoing work as details of the step that failed, which stays the one that is shown as failed. */
export const undoingAt =
  (failed: string, progress: Progress): Progress =>
  (step, detail) =>
    progress(failed, `undoing: ${detail === undefined ? step : `${step}: ${detail}`}`)
