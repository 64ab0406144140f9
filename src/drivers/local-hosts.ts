import { hostname } from 'node:os'
import type { HostRecord } from '../machine/machine.ts'

/** A folder of this computer that is mounted in a machine. */
export interface SharedFolder {
  readonly name: string
  readonly path: string
}

/** Parses `name=/absolute/path,…`; `undefined` if the text is invalid or names repeat. */
export function parseShares(text: string): readonly SharedFolder[] | undefined {
  const shares = text.split(',').map((part) => {
    const [, name = '', path = ''] =
      /^(\w[\w-]{0,63})=((?:\/|[A-Za-z]:[\\/]).*)$/.exec(part.trim()) ?? []
    return { name, path }
  })
  const names = new Set(shares.map(({ name }) => name))
  return names.has('') || names.size < shares.length ? undefined : shares
}

/** Formats shared folders for {@link parseShares}, sorted by name. */
export const formatShares = (shares: readonly SharedFolder[]): string =>
  shares
    .map(({ name, path }) => `${name}=${path}`)
    .toSorted()
    .join(',')

/** Records that a host exists only on this computer. */
export const currentComputer = (): { readonly computer: string } => ({ computer: hostname() })

/**
 * The computer that a host was created on, if it is not this one, or if this one was renamed since.
 */
export function otherComputer({ resources }: Pick<HostRecord, 'resources'>): string | undefined {
  const computer = resources?.['computer']
  return computer === undefined || computer === hostname() ? undefined : computer
}
