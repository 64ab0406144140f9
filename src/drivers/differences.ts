import { formatPorts } from './net/ports.ts'
import type { Difference } from './update.ts'

/** Formats a boolean option for a plan. */
export const formatBoolean = (is: boolean): string => (is ? 'yes' : 'no')

/**
 * Options that cannot change after creation, each with a function that reads the host's current
 * value; `undefined` if it is not known.
 */
export type ImmutableOptions<Options, Known> = Readonly<
  Partial<Record<keyof Options, (known: Known) => string | undefined>>
>

/**
 * Compares options that can be changed only by creating a new host. An option that is not set, or whose current value
 * is not known, is not a difference.
 */
export function compareImmutable<Options extends object, Known>(
  immutable: ImmutableOptions<Options, Known>,
  options: Options,
  known: Known,
  isSame: (option: string, wanted: string, current: string) => boolean,
): readonly Difference[] {
  const readers = Object.entries<ImmutableOptions<Options, Known>[keyof Options]>(immutable)
  return readers.flatMap(([option, read]): Difference[] => {
    const value = options[option as keyof Options]
    const from = read?.(known)
    if (value === undefined || from === undefined) return []
    const to = typeof value === 'boolean' ? formatBoolean(value) : String(value)
    return isSame(option, to, from) ? [] : [{ option, from, to, how: 'replace' }]
  })
}

/** Compares the size of the root disk in GiB. `how` describes how a disk can grow; disks never shrink. */
export function compareDisk(
  current: string | undefined,
  wanted: number,
  how: 'live' | 'stop',
): readonly Difference[] {
  if (current === String(wanted)) return []
  const difference = { option: 'disk', from: current ?? 'unknown', to: String(wanted) }
  return current !== undefined && wanted < Number(current)
    ? [{ ...difference, how: 'replace', why: 'a disk cannot shrink' }]
    : [{ ...difference, how }]
}

/** Compares the ports that are open to everyone. */
export function comparePorts(before = '', wanted = ''): readonly Difference[] {
  const [from, to] = [formatPorts(before), formatPorts(wanted)]
  return from === to ? [] : [{ option: 'ports', from, to, how: 'live' }]
}
