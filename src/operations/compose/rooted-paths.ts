import { relative, resolve, sep } from 'node:path'

/**
 * A directory that contains the local files under their absolute paths: a link to `/` on this computer, or a copy on a
 * host. Compose resolves relative paths below it, so that they can be distinguished from absolute paths. The separator
 * is `/`.
 */
export type Root = string

/** The number of directories between the directory of a run and its temporary root. */
const steps = 32

/**
 * Returns the temporary root in the directory of one run. A relative path with more `..` components than its base
 * directory has levels refers to `/` on this computer. Below the root, it refers to one of the `up` directories above
 * the root, which distinguishes it from a path on the host.
 */
export const rootBelow = (folder: string): Root => `${folder}${'/up'.repeat(steps)}/root`

/** Returns the directory of the run that contains a temporary root; undefined if the root is not temporary. */
export const folderOfRoot = (root: Root): string | undefined =>
  /^(.*?)(?:\/up)+\/root$/s.exec(slashed(root))?.[1]

/** The path of a local file below `root`. */
export const rootedPath = (root: Root, path: string): string =>
  `${root}/${slashed(path).replace(/^\//, '')}`

/** A local path with `/` as the separator. A drive becomes a directory: `C:\a` is `C/a`. */
export const slashed = (path: string): string =>
  sep === '/' ? path : path.replaceAll(sep, '/').replace(/^([A-Za-z]):/, '$1')

/** The part of `path` below `folder`, with a leading `/`; undefined if `path` is elsewhere. */
const partBelow = (folder: string, path: string): string | undefined =>
  path === folder || path.startsWith(`${folder}/`) ? path.slice(folder.length) : undefined

/** Returns the local file for a path below `root`, or above a temporary root; undefined if the path is elsewhere. */
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
 * Makes a path from the command line relative to the working directory. A root contains the same directories, so the
 * result refers to the same file there, even if the user typed an absolute path.
 */
export const relativePath = (cwd: string, typed: string): string =>
  slashed(relative(cwd, resolve(cwd, typed))) || '.'
