import { relative, resolve, sep } from 'node:path'

/**
 * A folder that contains the local files under their absolute paths: a link to `/` on this computer, or a copy on a host.
 * Compose resolves relative paths below it, so that they can be distinguished from absolute ones. Written with `/`.
 */
export type Root = string

/** How many folders a temporary root is below the folder of its run. */
const steps = 32

/**
 * The root in the folder of one run. A relative path with more `..` than its folder is deep ends at `/` of this computer; below the
 * root it leads to one of the folders above it, so that it can be told from a path of the host.
 */
export const rootBelow = (folder: string): Root => `${folder}${'/up'.repeat(steps)}/root`

/** The folder of the run that a temporary root is in; undefined for another root. */
export const folderOfRoot = (root: Root): string | undefined =>
  /^(.*?)(?:\/up)+\/root$/s.exec(slashed(root))?.[1]

/** The path of a local file below `root`. */
export const rootedPath = (root: Root, path: string): string =>
  `${root}/${slashed(path).replace(/^\//, '')}`

/** A local path with `/`; a drive becomes a folder: `C:\a` is `C/a`. */
export const slashed = (path: string): string =>
  sep === '/' ? path : path.replaceAll(sep, '/').replace(/^([A-Za-z]):/, '$1')

/** The part of a path below a folder, with `/` at the start; undefined if it is elsewhere. */
const partBelow = (folder: string, path: string): string | undefined =>
  path === folder || path.startsWith(`${folder}/`) ? path.slice(folder.length) : undefined

/** The local file of a path below `root`, or above a temporary one; undefined if the path is elsewhere. */
export function localPath(root: Root, path: string): string | undefined {
  const whole = slashed(path)
  const folder = folderOfRoot(root)
  const below =
    partBelow(slashed(root), whole) ??
    (folder === undefined ? undefined : partBelow(folder, whole)?.replace(/^(?:\/up)+(?=\/|$)/, ''))
  if (below === undefined) return undefined
  return resolve(sep === '/' ? below || '/' : below.replace(/^\/([A-Za-z])(?=\/|$)/, '$1:') || '/')
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
