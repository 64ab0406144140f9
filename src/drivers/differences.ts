import { sayPorts } from './net/ports.ts'
import type { Difference } from './update.ts'

/** A switch in words. */
export const yesOrNo = (is: boolean): string => (is ? 'yes' : 'no')

/** Options that a host keeps for its life, each with what reads what the host has of it; nothing where that is not known. */
export type Lasting<Options, Known> = Readonly<
  Partial<Record<keyof Options, (known: Known) => string | undefined>>
>

/** How a host differs in what only another one can have. What nobody wants, or nobody knows of the host, is no difference. */
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

/** A root disk, in GiB, that grows in the way that `how` says, and never shrinks. */
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

/** Which ports everybody may reach. */
export function comparePorts(had = '', wanted = ''): readonly Difference[] {
  const [from, to] = [sayPorts(had), sayPorts(wanted)]
  return from === to ? [] : [{ option: 'ports', from, to, how: 'live' }]
}
