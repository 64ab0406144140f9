import { once } from 'node:events'
import { lstatSync } from 'node:fs'
import { type Socket, connect } from 'node:net'
import { codeOf } from '../../errors.ts'
import { socketIn } from './place.ts'

/** Thrown inside when there is no broker to be had; a command does without. */
export class BrokerUnavailable extends Error {}

/**
 * Refuses a folder that others could put a socket into: whoever listens there is told secrets. Node.js cannot ask
 * who is at the other end of a socket, so this is the check.
 */
export function checkFolder(folder: string): void {
  const { uid, mode } = lstatSync(folder)
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0) {
    throw new BrokerUnavailable(`${folder} is not this user's alone`)
  }
}

const absent = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EAGAIN'])

/** A connection to the broker of this folder. Undefined when none listens. */
export async function findBroker(folder: string): Promise<Socket | undefined> {
  let socket: Socket | undefined
  try {
    checkFolder(folder)
    socket = connect(socketIn(folder))
    await once(socket, 'connect')
    return socket
  } catch (error) {
    socket?.destroy()
    if (error instanceof BrokerUnavailable) throw error
    if (absent.has(codeOf(error) ?? '')) return undefined
    throw new BrokerUnavailable(`cannot connect to the broker in ${folder}`, { cause: error })
  }
}
