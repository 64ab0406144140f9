/** The checks of a machine, in the order of the report. */
export const machineChecks = [
  ...(['host', 'name', 'route', 'port', 'banner', 'host-key', 'login', 'shell'] as const),
  ...(['mtu', 'sessions', 'clock', 'home', 'sudo', 'cloud-init', 'disk'] as const),
  ...(['socket', 'engine', 'compose', 'broker'] as const),
] as const

/** The checks of this computer, in the order of the report. */
export const computerChecks = [
  ...(['node', 'home', 'inventory', 'agent', 'docker', 'context'] as const),
  ...(['providers', 'broker', 'clock'] as const),
] as const

/**
 * `warn`: works, but not well, or may soon stop working. `fail`: something does not work. `skipped`: the check depends
 * on another check that failed, or does not apply to the machine.
 */
export type CheckState = 'ok' | 'warn' | 'fail' | 'skipped'

/** The result of a check. */
export interface Check<Name extends string = string> {
  readonly check: Name
  readonly state: CheckState
  /** One sentence without a period at the end. It may quote output of the host, without control characters. */
  readonly message: string
  /** The command or action that fixes the problem. */
  readonly fix?: string | undefined
}

export type MachineCheck = Check<(typeof machineChecks)[number]>
export type ComputerCheck = Check<(typeof computerChecks)[number]>

/** A result without the name of its check. */
export type Verdict = Omit<Check, 'check'>

export const ok = (message: string): Verdict => ({ state: 'ok', message })
export const warn = (message: string, fix: string): Verdict => ({ state: 'warn', message, fix })
export const fail = (message: string, fix: string): Verdict => ({ state: 'fail', message, fix })
export const skip = (message: string): Verdict => ({ state: 'skipped', message })

/** Formats a list for use in a sentence: `a, b and c`. */
export const listOf = (items: readonly string[]): string =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
