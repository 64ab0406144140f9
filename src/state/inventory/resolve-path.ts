import { realpath } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { ignored } from '../../os/trace.ts'

/** A resolved path from an inventory. */
export interface ResolvedPath {
  /** Real path, with all links resolved. */
  readonly path: string
  /** Whether it is in the inventory's directory. */
  readonly isInside: boolean
}

/** Whether a path is `folder` itself or inside it. */
const isWithin = (folder: string, path: string): boolean => {
  const fromFolder = relative(folder, path)
  return fromFolder !== '..' && !fromFolder.startsWith(`..${sep}`) && !isAbsolute(fromFolder)
}

/**
 * Resolves a path in the inventory at `location`, relative to the inventory's directory. If the path
 * does not exist, links are not resolved.
 */
export async function resolvePath(location: string, path: string): Promise<ResolvedPath> {
  const folder = dirname(resolve(location))
  const named = resolve(folder, path)
  const [realFolder, real] = await Promise.all([
    realpath(folder).catch(ignored('inventory', 'resolve the directory', folder)),
    realpath(named).catch(ignored('inventory', 'resolve the file', named)),
  ])
  return { path: real, isInside: isWithin(realFolder, real) }
}
