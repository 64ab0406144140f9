import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { longestSocketPath } from '../unix-socket.ts'

/** Room for the name of a socket. */
const longestName = 40

const digest = (content: string | Buffer): string =>
  createHash('sha256').update(content).digest('hex')

/**
 * The folder of the broker's sockets, which is this user's alone: in home, or, where that is too long a path for
 * sockets, in the system's folder for such things.
 */
export function placeOfSockets(
  home: string,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const inHome = join(home, 'run')
  if (Buffer.byteLength(inHome) + longestName <= longestSocketPath) return inHome
  const name = digest(home).slice(0, 12)
  const folder = env['XDG_RUNTIME_DIR'] ?? '/tmp'
  return join(folder.length <= longestSocketPath - 60 ? folder : '/tmp', `fleet-${name}`)
}

/** Tells a build from every other: in its file stand the names of all others, which are digests of what they hold. */
export const identifyBuild = async (program: string): Promise<string> =>
  digest(await readFile(program))

/** Where the broker listens. */
export const socketIn = (folder: string): string => join(folder, 'broker.sock')
