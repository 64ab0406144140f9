/** A folder of this computer that a machine sees. */
export interface SharedFolder {
  readonly name: string
  readonly path: string
}

/** Reads `name=/absolute/path,…`; nothing where that is no list of folders with names of their own. */
export function parseShares(text: string): readonly SharedFolder[] | undefined {
  const shares = text.split(',').map((part) => {
    const [, name = '', path = ''] =
      /^(\w[\w-]{0,63})=((?:\/|[A-Za-z]:[\\/]).*)$/.exec(part.trim()) ?? []
    return { name, path }
  })
  const names = new Set(shares.map(({ name }) => name))
  return names.has('') || names.size < shares.length ? undefined : shares
}

/** Shared folders as {@link parseShares} reads them, in an order that says nothing. */
export const formatShares = (shares: readonly SharedFolder[]): string =>
  shares
    .map(({ name, path }) => `${name}=${path}`)
    .toSorted()
    .join(',')
