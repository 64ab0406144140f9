import type { MachineName } from '../machine/name.ts'

/** Which machine plain commands mean: one per person and inventory, kept in home. */
export interface ActiveMachine {
  current(): Promise<MachineName | undefined>
  /** Makes `name` the active one and remembers the one before. */
  use(name: MachineName): Promise<void>
  /** The machine that was active before the current one. */
  previous(): Promise<MachineName | undefined>
  /** Forgets `name`, where it is remembered. */
  drop(name: MachineName): Promise<void>
}
