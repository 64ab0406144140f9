import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Environment } from '../os/environment.ts'

/**
 * Returns the directory for files that can be downloaded again: `$FLEET_CACHE`, or else `$XDG_CACHE_HOME/fleet` if that
 * path is absolute, or else the platform's default. The directory might not exist yet.
 */
export function locateCache(
  env: Environment,
  platform: NodeJS.Platform = process.platform,
): string {
  if (env['FLEET_CACHE']) return resolve(env['FLEET_CACHE'])
  if (env['XDG_CACHE_HOME']?.startsWith('/')) return join(env['XDG_CACHE_HOME'], 'fleet')
  const user = env['HOME'] || homedir()
  if (platform === 'darwin') return join(user, 'Library', 'Caches', 'fleet')
  if (platform === 'win32') {
    return join(env['LOCALAPPDATA'] || join(homedir(), 'AppData', 'Local'), 'fleet', 'cache')
  }
  return join(user, '.cache', 'fleet')
}
