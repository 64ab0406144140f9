import { UserError } from '../errors.ts'
import { nearest, suggest } from './nearest-name.ts'

/** The next step for an inventory without machines. */
export const addMachineHint =
  'create a machine with fleet create, or add an existing host with fleet adopt'

/** Returns the error for a command that requires a machine when the inventory has none. */
export const noMachines = (): UserError =>
  new UserError('unknown-machine', 'the inventory has no machines', { hint: addMachineHint })

/** Returns the error for an unknown machine name. The hint suggests the nearest of `names`. */
export function unknownMachine(name: string, names: readonly string[]): UserError {
  const near = nearest(name, names)
  const hint = near === undefined ? 'to list the machines: fleet ls' : `did you mean ${near}?`
  return new UserError('unknown-machine', `there is no machine called ${JSON.stringify(name)}`, {
    hint: names.length === 0 ? addMachineHint : hint,
  })
}

/** Returns the message for an unknown profile name. The message suggests the nearest of `names`. */
export const noProfile = (name: string, names: Iterable<string>): string =>
  `there is no profile called ${JSON.stringify(name)}${suggest(name, names)}`
