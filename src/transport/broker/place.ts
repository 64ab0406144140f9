import { join } from 'node:path'
import { longestSocketPath } from '../unix-socket.ts'

/** Room for the name of a socket. */
const longestName = 40

/**
 * The folder of the broker's sockets, which is this user's alone: in home, or, where that is too long a path for
 * sockets, in the system's folder for such things.
 */
export async function placeOfSockets(
  home: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const inHome = join(home, 'run')
  if (Buffer.byteLength(inHome) + longestName <= longestSocketPath) return inHome
  const { createHash } = await import('node:crypto')
  const name = createHash('sha256').update(home).digest('hex').slice(0, 12)
  const folder = env['XDG_RUNTIME_DIR'] ?? '/tmp'
  return join(folder.length <= longestSocketPath - 60 ? folder : '/tmp', `fleet-${name}`)
}

/** Where the broker listens. */
export const socketIn = (folder: string): string => join(folder, 'broker.sock')
