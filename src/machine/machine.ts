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

/** Whether its hosts exist: each has an address of its own, which no profile can say, so a profile need not say all. */
export const takesInHosts = (driver: string): boolean => driver === 'ssh'

/** Whether it is a host that exists, of which nothing says yet where: a profile counts it. */
export const lacksAddress = ({ driver, options }: Machine): boolean =>
  takesInHosts(driver) && options?.['address'] === undefined

/** The command that gives a machine without a host its host. */
export const beginCommand = (machine: Machine): string =>
  lacksAddress(machine)
    ? `fleet adopt USER@HOST --name ${machine.name}`
    : `fleet create ${machine.name}`

/**
 * Checks that a host without an address, which is this computer, is one of the driver `local`. Throws kind `inventory` for others:
 * what is meant for some host elsewhere would be done here.
 */
export function checkAddress({ name, driver, host }: ReadyMachine): void {
  if (host.address !== undefined || driver === 'local') return
  throw new UserError('inventory', `the record of ${name} has no address`, {
    machine: name,
    hint: `bring the entry back from git, or take it away: fleet forget ${name}`,
  })
}

/**
 * What fleet remembers of a machine's host. Throws kind `unreachable` where there is none to reach, and as {@link checkAddress}
 * does.
 */
export function hostOf(machine: Machine): HostRecord {
  const { name, host } = machine
  if (host?.phase === 'ready') {
    checkAddress({ ...machine, host })
    return host
  }
  if (host === undefined) {
    throw new UserError('unreachable', 'it is not created yet', {
      machine: name,
      hint: beginCommand(machine),
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
