import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { ignored } from '../os/trace.ts'

/** The path of a program of this computer, looked for along `PATH` as a shell does. */
export async function findProgram(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
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
