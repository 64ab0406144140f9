import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { longestSocketPath } from '../os/socket-path.ts'

/*
 * A warm command needs this before anything else: so neither node:crypto nor node:fs/promises, each of which takes
 * milliseconds to load, is imported here.
 */

/** Room for the name of a socket. */
const longestName = 40

const digest = (content: string): string =>
  process.getBuiltinModule('node:crypto').createHash('sha256').update(content).digest('hex')

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

/**
 * Whether nobody else could put a socket into a folder: whoever listens there is told secrets, and Node.js cannot ask who is
 * at the other end of a socket. Throws where there is no such folder.
 */
export function isPrivate(folder: string): boolean {
  const { uid, mode } = lstatSync(folder)
  return uid === process.getuid?.() && (mode & 0o077) === 0
}

/** Where the broker listens. */
export const socketIn = (folder: string): string => join(folder, 'broker.sock')
