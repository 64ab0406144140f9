import { realpath } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { ignored } from '../../os/trace.ts'

/** Where a path leads that an inventory names. */
export interface PathBeside {
  /** With all links followed. */
  readonly path: string
  /** Whether that is in the folder of the inventory. */
  readonly isInside: boolean
}

/** Whether a path is a folder, or below it. */
const isWithin = (folder: string, path: string): boolean => {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/**
 * Follows a path that the inventory at `location` names; one that is not absolute begins at its folder. What does not exist
 * is where its name says.
 */
export async function followPath(location: string, path: string): Promise<PathBeside> {
  const folder = dirname(resolve(location))
  const named = resolve(folder, path)
  const [realFolder, real] = await Promise.all([
    realpath(folder).catch(ignored('inventory', 'resolve the folder', folder)),
    realpath(named).catch(ignored('inventory', 'resolve the file', named)),
  ])
  return { path: real, isInside: isWithin(realFolder, real) }
}
