import { relative, resolve, sep } from 'node:path'

/**
 * A folder below which the files of this computer are found under their whole paths: a link to `/` here, or a copy on a
 * host. Compose resolves what is relative below it, so that what is absolute can be told from it. Written with `/`.
 */
export type Root = string

/** The path that a file of this computer has below `root`. */
export const rootedPath = (root: Root, path: string): string =>
  `${root}/${slashed(path).replace(/^\//, '')}`

/** A path of this computer with `/`, a drive being a folder: `C:\a` is `C/a`. */
export const slashed = (path: string): string =>
  sep === '/' ? path : path.replaceAll(sep, '/').replace(/^([A-Za-z]):/, '$1')

/** The file of this computer that is meant by a path below `root`; nothing where the path is elsewhere. */
export function localPath(root: Root, path: string): string | undefined {
  const [whole, start] = [slashed(path), slashed(root)]
  if (whole !== start && !whole.startsWith(`${start}/`)) return undefined
  const below = whole.slice(start.length) || '/'
  return resolve(sep === '/' ? below : below.replace(/^\/([A-Za-z])(?=\/|$)/, '$1:'))
}

/** Whether `path` is `folder` or in it. */
export const isWithin = (folder: string, path: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`)

/**
 * A path that was typed, from the folder where it was typed: below a root, whose folders are the same, it leads to the
 * same file whether it was absolute or not.
 */
export const relativePath = (cwd: string, typed: string): string =>
  slashed(relative(cwd, resolve(cwd, typed))) || '.'
