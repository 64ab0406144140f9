import { UserError } from '../errors.ts'
import type { MachineName } from './name.ts'
import type { HostRecord, MachineEntry } from './schema.ts'

export type { HostRecord, MachineEntry, ProfileEntry } from './schema.ts'

/** A machine in the inventory: its entry merged with its profiles, and its name. */
export type Machine = Readonly<MachineEntry> & {
  readonly name: MachineName
  readonly driver: string
}

/** A machine with a host record. */
export type ReadyMachine = Machine & { readonly host: HostRecord }

/**
 * Whether a driver uses hosts that already exist. Each such host has its own address, so a profile for this driver
 * cannot be complete.
 */
export const usesExistingHosts = (driver: string): boolean => driver === 'ssh'

/** Whether a driver creates hosts, or finds them at a provider. */
export const hasProvider = (driver: string): boolean =>
  !usesExistingHosts(driver) && driver !== 'local'

/**
 * Whether a machine uses an existing host whose address is not known yet. For example, the machine may be declared only
 * by a profile's count.
 */
export const lacksAddress = ({ driver, options }: Machine): boolean =>
  usesExistingHosts(driver) && options?.['address'] === undefined

/** Returns why a machine has no host, worded as the end of a sentence: `has not been created yet`. */
export const noHostYet = ({ driver }: Pick<Machine, 'driver'>): string =>
  `has not been ${hasProvider(driver) ? 'created' : 'adopted'} yet`

/** Returns the command that creates or adopts the host of a machine. */
export function setUpCommand(machine: Machine): string {
  const { name, driver } = machine
  if (lacksAddress(machine)) return `fleet adopt USER@HOST --name ${name}`
  return hasProvider(driver) ? `fleet create ${name}` : `fleet apply --on ${name}`
}

/**
 * Throws kind `inventory` if the host has no address, unless its driver is `local`. A missing address means this
 * computer, so a command for a remote host would run on this computer.
 */
export function checkAddress({ name, driver, host }: ReadyMachine): void {
  if (host.address !== undefined || driver === 'local') return
  throw new UserError('inventory', `the host section of ${name} in machines.yaml has no address`, {
    machine: name,
    hint: `restore the entry from git, or remove it with fleet forget ${name}`,
  })
}

/** Whether a machine has a host that can be connected to: its creation is complete, and its removal has not started. */
export const hasHost = ({ host }: Machine): boolean => host?.phase === 'ready'

/**
 * Returns the record of a machine's host. Throws kind `unreachable` if the host is not ready, and throws as {@link
 * checkAddress} does.
 */
export function requireHost(machine: Machine): HostRecord {
  const { name, host } = machine
  if (host?.phase === 'ready') {
    checkAddress({ ...machine, host })
    return host
  }
  if (host === undefined) {
    throw new UserError('unreachable', `the machine ${noHostYet(machine)}`, {
      machine: name,
      hint: `to set up the machine: ${setUpCommand(machine)}`,
    })
  }
  const isCreating = host.phase === 'creating'
  const state = isCreating
    ? 'the machine is being created, or its creation was interrupted'
    : 'the machine is being removed, or its removal was interrupted'
  throw new UserError('unreachable', state, {
    machine: name,
    hint: isCreating
      ? `wait, continue with fleet create ${name}, or remove the machine with fleet rm ${name}`
      : `wait, or finish removing it: fleet rm ${name}`,
  })
}

/** The default path of the engine's socket. */
export const defaultSocket = '/var/run/docker.sock'

/** Returns the path of the engine's socket on a machine's host. Throws as {@link requireHost} does. */
export const socketOf = (machine: Machine): string => requireHost(machine).socket ?? defaultSocket

/** An address to log in to. */
export type LoginAddress = Pick<HostRecord, 'address' | 'port' | 'user'>

/**
 * Whether two addresses refer to the same login: address and port are the same, and so is the user, if both users are
 * known.
 */
export const isSameLogin = (a: LoginAddress, b: LoginAddress): boolean =>
  a.address === b.address &&
  (a.port ?? 22) === (b.port ?? 22) &&
  (a.user === undefined || b.user === undefined || a.user === b.user)

/** Merges a driver's newer resources into its older ones. A newer value of `undefined` removes the key. */
export const mergeResources = (
  older: Readonly<Record<string, string>> = {},
  newer: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> =>
  Object.fromEntries(
    Object.entries({ ...older, ...newer }).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, value]],
    ),
  )

/** The current state of a host, as its provider reports it. It is never stored. */
export interface HostStatus {
  /** `unknown`: the driver has no provider to query, so only a connection shows whether the host is running. */
  readonly state: 'running' | 'paused' | 'stopped' | 'starting' | 'stopping' | 'absent' | 'unknown'
  /**
   * Only set if the state is `absent`: the provider has reclaimed the host (a spot instance), so fleet creates a
   * replacement.
   */
  readonly reclaimed?: true
  /** The current address according to the provider. */
  readonly address?: string
  /**
   * The current values of the driver's options, as far as the provider's response contains them. The driver formats
   * them.
   */
  readonly options?: Readonly<Record<string, string>>
}
