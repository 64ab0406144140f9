import { chmod, mkdir, stat } from 'node:fs/promises'
import { UserError } from '../../errors.ts'
import { explainDiskError } from './disk-error.ts'
import { foreignOwner } from './locate-home.ts'
import type { Environment } from '../../os/environment.ts'

/** Throws kind `failed` if fleet's home directory belongs to another user. */
export function checkHome(home: string, env: Environment): void {
  const uid = foreignOwner(home, env)
  if (uid === undefined) return
  const isSudo = process.getuid?.() === 0 && env['SUDO_UID'] === `${uid}`
  throw new UserError(
    'failed',
    `fleet's home directory ${home} belongs to another user (UID ${uid})`,
    {
      hint: isSudo
        ? 'use sudo -H instead of sudo -E, or run fleet without sudo'
        : 'set HOME to your own home directory, or FLEET_HOME to a directory that you own',
    },
  )
}

/**
 * Creates a directory with mode 0700. An existing directory is made private. Throws kind `failed`
 * for a directory of another user, who could put keys into it.
 */
export async function preparePrivateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    if (process.getuid === undefined) return
    const { uid, mode } = await stat(folder)
    if (uid !== process.getuid()) {
      throw new UserError('failed', `${folder} belongs to another user`, {
        hint: 'set FLEET_HOME to a directory that you own',
      })
    }
    if ((mode & 0o077) !== 0) await chmod(folder, 0o700)
  } catch (error) {
    throw explainDiskError(error, { kind: 'failed', operation: 'prepare', file: folder })
  }
}
