import type { Accepted } from './accept-entries.ts'
import { encodeHeader, endOfArchive, padding } from './tar-format.ts'

const file = { type: 'file', mode: 0o600, mtime: 0, uid: 0, gid: 0, size: 0, linkname: '' } as const

/** Writes entries to a tar archive, below the name `root`. An empty file `mark` at the end marks it as complete. */
export async function* writeTar(
  entries: AsyncIterable<Accepted>,
  { root, mark }: { readonly root: string; readonly mark: string },
): AsyncGenerator<Buffer, void> {
  const nameOf = (path: string): string => (path === '' ? root : `${root}/${path}`)
  for await (const { path, of, content, ...entry } of entries) {
    const linkname = of === undefined ? entry.linkname : nameOf(of)
    yield encodeHeader({ ...entry, name: nameOf(path), linkname })
    if (entry.size === 0) continue
    yield* content
    yield padding(entry.size)
  }
  yield encodeHeader({ ...file, name: mark })
  yield endOfArchive
}
