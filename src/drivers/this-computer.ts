import { hostname } from 'node:os'
import type { HostRecord } from '../machine/machine.ts'

/** Notes where a host is that exists on this computer alone. */
export const onThisComputer = (): { readonly computer: string } => ({ computer: hostname() })

/** The computer that a host was made on, where that is another one, or this one had another name then. */
export function otherComputer({ resources }: Pick<HostRecord, 'resources'>): string | undefined {
  const computer = resources?.['computer']
  return computer === undefined || computer === hostname() ? undefined : computer
}
