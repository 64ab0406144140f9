import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Environment } from '../../os/environment.ts'

/**
 * Returns the directory of a user's private files: `$FLEET_HOME`, else `$XDG_DATA_HOME/fleet` if that is absolute (XDG
 * Base Directory specification), else the platform's default. It may not exist.
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

/** Returns the owner of a directory, or of its nearest existing parent. */
function ownerOf(folder: string): { readonly uid: number; readonly isThere: boolean } | undefined {
  for (let [place, exists] = [folder, true]; ; [place, exists] = [dirname(place), false]) {
    try {
      return { uid: statSync(place).uid, isThere: exists }
    } catch {
      if (dirname(place) === place) return undefined
    }
  }
}

/**
 * Returns the user ID of another user who owns `home`, as after `sudo -E`; `undefined` if it belongs to this user. The
 * owner could read or replace the files, but could not use files that this user creates. A directory in `$FLEET_HOME`
 * that does not exist yet is accepted.
 */
export function foreignOwner(home: string, env: Environment): number | undefined {
  const uidOfUser = process.getuid?.()
  if (uidOfUser === undefined) return undefined
  const { uid = uidOfUser, isThere: exists = false } = ownerOf(home) ?? {}
  const isChosen = !exists && (uid === 0 || Boolean(env['FLEET_HOME']))
  return uid === uidOfUser || isChosen ? undefined : uid
}
