import type { MachineName } from './name.ts'
import type { HostRecord, MachineEntry } from './schema.ts'

export type { HostRecord, MachineEntry } from './schema.ts'

/** A machine of the inventory: its entry, and the name it stands under. */
export type Machine = Readonly<MachineEntry> & { readonly name: MachineName }

/** A machine whose host exists as far as fleet remembers. */
export type ReadyMachine = Machine & { readonly host: HostRecord }
