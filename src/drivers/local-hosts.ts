import { hostname } from 'node:os'
import type { HostRecord } from '../machine/machine.ts'

/** A directory on this computer that is mounted in a machine. */
export interface SharedFolder {
  readonly name: string
  readonly path: string
}

/** Parses `name=/absolute/path,…`; `undefined` if the text is invalid or contains a name twice. */
export function parseShares(text: string): readonly SharedFolder[] | undefined {
  const shares = text.split(',').map((part) => {
    const [, name = '', path = ''] =
      /^(\w[\w-]{0,63})=((?:\/|[A-Za-z]:[\\/]).*)$/.exec(part.trim()) ?? []
    return { name, path }
  })
  const names = new Set(shares.map(({ name }) => name))
  return names.has('') || names.size < shares.length ? undefined : shares
}

/** Formats shared directories for {@link parseShares}, sorted by name. */
export const formatShares = (shares: readonly SharedFolder[]): string =>
  shares
    .map(({ name, path }) => `${name}=${path}`)
    .toSorted()
    .join(',')

/** Returns the field of a record that identifies this computer, for a host that exists only here. */
export const currentComputer = (): { readonly computer: string } => ({ computer: hostname() })

/**
 * Returns the name of the computer on which a host was created, if it differs from this computer's name. The host may
 * still be on this computer, if this computer has since been renamed.
 */
export function otherComputer({ resources }: Pick<HostRecord, 'resources'>): string | undefined {
  const computer = resources?.['computer']
  return computer === undefined || computer === hostname() ? undefined : computer
}
