import { chmod, mkdir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { UserError } from '../errors.ts'
import { explainDiskError } from './disk-error.ts'

/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The folder of one person's private files: `$FLEET_HOME`, else `$XDG_DATA_HOME/fleet` (which the XDG
 * Base Directory specification wants absolute, else ignored), else the platform's own place.
 * It need not exist.
 */
export function locateHome(env: Environment, platform: NodeJS.Platform = process.platform): string {
  if (env['FLEET_HOME']) return resolve(env['FLEET_HOME'])
  if (env['XDG_DATA_HOME']?.startsWith('/')) return join(env['XDG_DATA_HOME'], 'fleet')
  const user = env['HOME'] || homedir()
  if (platform === 'darwin') return join(user, 'Library', 'Application Support', 'fleet')
  if (platform === 'win32') {
    return join(env['LOCALAPPDATA'] || join(homedir(), 'AppData', 'Local'), 'fleet')
  }
  return join(user, '.local', 'share', 'fleet')
}

/**
 * Makes a folder of home ready to be written to, with mode 0700. One of ours that others can enter
 * is closed to them; one that belongs to somebody else is refused, since they could put keys in it.
 */
export async function preparePrivateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    if (process.getuid === undefined) return
    const { uid, mode } = await stat(folder)
    if (uid !== process.getuid()) {
      throw new UserError('failed', `${folder} belongs to another user`, {
        hint: 'set FLEET_HOME to a folder of your own',
      })
    }
    if ((mode & 0o077) !== 0) await chmod(folder, 0o700)
  } catch (error) {
    throw explainDiskError(error, { kind: 'failed', doing: 'prepare', file: folder })
  }
}
