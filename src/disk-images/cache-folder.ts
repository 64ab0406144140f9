import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The folder of what can be had again: `$FLEET_CACHE`, else `$XDG_CACHE_HOME/fleet` where that is absolute, else the
 * platform's own place. It need not exist.
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
