import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

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
