import { createHash } from 'node:crypto'
import { join } from 'node:path'

/** The longest path of a Unix socket, in bytes: that of macOS (Linux has 108). */
const longestPath = 103
/** Room for the name of a socket, and for the process id that stands behind it while it is made. */
const longestName = 40

/**
 * The folder of the broker's sockets, which is this user's alone: in home, or, where that is too long a path for
 * sockets, in the system's folder for such things.
 */
export function placeOfSockets(
  home: string,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const inHome = join(home, 'run')
  if (Buffer.byteLength(inHome) + longestName <= longestPath) return inHome
  const name = createHash('sha256').update(home).digest('hex').slice(0, 12)
  const folder = env['XDG_RUNTIME_DIR'] ?? '/tmp'
  return join(folder.length <= longestPath - 60 ? folder : '/tmp', `fleet-${name}`)
}

/** Where the broker listens. */
export const socketIn = (folder: string): string => join(folder, 'broker.sock')
