import { UserError } from '../errors.ts'
import type { MachineName } from './name.ts'
import type { HostRecord, MachineEntry } from './schema.ts'

export type { HostRecord, MachineEntry, ProfileEntry } from './schema.ts'

/** A machine that the inventory wants: its entry with what profiles say for it, and its name. */
export type Machine = Readonly<MachineEntry> & {
  readonly name: MachineName
  readonly driver: string
}

/** A machine whose host exists as far as fleet remembers. */
export type ReadyMachine = Machine & { readonly host: HostRecord }

/** What fleet remembers of a machine's host. Throws kind `unreachable` where there is none to reach. */
export function hostOf({ name, host }: Machine): HostRecord {
  if (host?.phase === 'ready') return host
  if (host === undefined) {
    throw new UserError('unreachable', `${name} is not created yet`, {
      machine: name,
      hint: `fleet create ${name}`,
    })
  }
  const isCreating = host.phase === 'creating'
  const doing = isCreating ? 'created' : 'removed'
  throw new UserError('unreachable', `${name} is being ${doing}, or that was cut short`, {
    machine: name,
    hint: isCreating
      ? `wait for it; or go on: fleet create ${name}; or undo: fleet rm ${name}`
      : `wait for it, or go on: fleet rm ${name}`,
  })
}
