import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Environment } from './environment.ts'
import { ignored } from './trace.ts'

/** Finds a local program in `PATH` as a shell does; undefined if there is none. */
export async function findProgram(name: string, env: Environment): Promise<string | undefined> {
  const file = process.platform === 'win32' ? `${name}.exe` : name
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder || '.', file)
    const found = await access(path, constants.X_OK)
      .then(() => stat(path))
      .catch(ignored('docker', 'find a program on the PATH'))
    if (found?.isFile() === true) return path
  }
  return undefined
}
