import { hostname } from 'node:os'
import type { HostRecord } from '../machine/machine.ts'

/** Records that a host exists only on this computer. */
export const currentComputer = (): { readonly computer: string } => ({ computer: hostname() })

/**
 * The computer that a host was created on, if it is not this one, or if this one was renamed since.
 */
export function otherComputer({ resources }: Pick<HostRecord, 'resources'>): string | undefined {
  const computer = resources?.['computer']
  return computer === undefined || computer === hostname() ? undefined : computer
}
