import { sayPorts } from './net/ports.ts'
import type { Difference } from './update.ts'

/** Formats a boolean option for a plan. */
export const yesOrNo = (is: boolean): string => (is ? 'yes' : 'no')

/**
 * Options that cannot change after creation, each with a function that reads the host's current
 * value; `undefined` if it is not known.
 */
export type Lasting<Options, Known> = Readonly<
  Partial<Record<keyof Options, (known: Known) => string | undefined>>
>

/**
 * Compares options that only a new host can change. An option that is not set, or whose current
 * value is not known, is no difference.
 */
export function compareLasting<Options extends object, Known>(
  lasting: Lasting<Options, Known>,
  options: Options,
  known: Known,
  isSame: (option: string, wanted: string, has: string) => boolean,
): readonly Difference[] {
  const readers = Object.entries<Lasting<Options, Known>[keyof Options]>(lasting)
  return readers.flatMap(([option, read]): Difference[] => {
    const value = options[option as keyof Options]
    const from = read?.(known)
    if (value === undefined || from === undefined) return []
    const to = typeof value === 'boolean' ? yesOrNo(value) : String(value)
    return isSame(option, to, from) ? [] : [{ option, from, to, how: 'replace' }]
  })
}

/** Compares the size of the root disk in GiB. A disk grows as `how` says, and never shrinks. */
export function compareDisk(
  has: string | undefined,
  wanted: number,
  how: 'live' | 'stop',
): readonly Difference[] {
  if (has === String(wanted)) return []
  const difference = { option: 'disk', from: has ?? 'unknown', to: String(wanted) }
  return has !== undefined && wanted < Number(has)
    ? [{ ...difference, how: 'replace', why: 'a disk cannot shrink' }]
    : [{ ...difference, how }]
}

/** Compares the ports that are open to everyone. */
export function comparePorts(had = '', wanted = ''): readonly Difference[] {
  const [from, to] = [sayPorts(had), sayPorts(wanted)]
  return from === to ? [] : [{ option: 'ports', from, to, how: 'live' }]
}
