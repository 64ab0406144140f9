import { relative, resolve, sep } from 'node:path'

/**
 * A folder that contains the local files under their absolute paths: a link to `/` on this computer, or a copy on a host.
 * Compose resolves relative paths below it, so that they can be distinguished from absolute ones. Written with `/`.
 */
export type Root = string

/** The path of a local file below `root`. */
export const rootedPath = (root: Root, path: string): string =>
  `${root}/${slashed(path).replace(/^\//, '')}`

/** A local path with `/`; a drive becomes a folder: `C:\a` is `C/a`. */
export const slashed = (path: string): string =>
  sep === '/' ? path : path.replaceAll(sep, '/').replace(/^([A-Za-z]):/, '$1')

/** The local file of a path below `root`; undefined if the path is elsewhere. */
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
 * A typed path relative to the working folder. Below a root, which has the same folders, it refers to the same file, also if it
 * was typed as an absolute path.
 */
export const relativePath = (cwd: string, typed: string): string =>
  slashed(relative(cwd, resolve(cwd, typed))) || '.'
