import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

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

/** The owner of a folder, or of the nearest one above it that exists. */
function ownerOf(folder: string): { readonly uid: number; readonly isThere: boolean } | undefined {
  for (let [place, isThere] = [folder, true]; ; [place, isThere] = [dirname(place), false]) {
    try {
      return { uid: statSync(place).uid, isThere }
    } catch {
      if (dirname(place) === place) return undefined
    }
  }
}

/**
 * The user id of somebody else in whose home `home` is, as after `sudo -E`: what is kept there could be read or replaced by
 * them, and files of ours would be in their way. Where `$FLEET_HOME` names a folder to make, the person has chosen it.
 */
export function strangerIn(home: string, env: Environment): number | undefined {
  const me = process.getuid?.()
  if (me === undefined) return undefined
  const { uid = me, isThere = false } = ownerOf(home) ?? {}
  const isChosen = !isThere && (uid === 0 || Boolean(env['FLEET_HOME']))
  return uid === me || isChosen ? undefined : uid
}
