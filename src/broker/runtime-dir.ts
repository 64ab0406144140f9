import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { longestSocketPath } from '../os/socket-folder.ts'
import type { Environment } from '../os/environment.ts'

/**
 * Every command that uses a running broker loads this file first, so it does not import node:crypto or
 * node:fs/promises, which take milliseconds to load.
 */

/** The maximum length of a socket's file name, in bytes. */
const maxNameLength = 40

const digest = (content: string): string =>
  process.getBuiltinModule('node:crypto').createHash('sha256').update(content).digest('hex')

/**
 * Returns the private directory of the broker's sockets: in fleet's home directory, or in the runtime directory of the
 * system if that path is too long for a socket.
 */
export function brokerFolder(home: string, env: Environment): string {
  const inHome = join(home, 'run')
  if (Buffer.byteLength(inHome) + maxNameLength <= longestSocketPath) return inHome
  const name = digest(home).slice(0, 12)
  const folder = env['XDG_RUNTIME_DIR'] ?? '/tmp'
  return join(folder.length <= longestSocketPath - 60 ? folder : '/tmp', `fleet-${name}`)
}

/**
 * Whether only this user can create sockets in a directory. A program that listens there receives secrets, and Node.js
 * cannot check who listens on a socket. Throws if the directory does not exist.
 */
export function isPrivate(folder: string): boolean {
  const { uid, mode } = lstatSync(folder)
  return uid === process.getuid?.() && (mode & 0o077) === 0
}

/** Returns the path of the broker's socket. */
export const brokerSocket = (folder: string): string => join(folder, 'broker.sock')

/** Returns the path of the list of ports that the broker forwards. */
export const forwardsFile = (folder: string): string => join(folder, 'forwards.json')
