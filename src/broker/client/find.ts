import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { codeOf } from '../../errors.ts'
import { isPrivate, brokerSocket } from '../runtime-dir.ts'

/** No broker is available, so the command connects directly. Never shown to the user. */
export class BrokerUnavailable extends Error {}

/** Throws {@link BrokerUnavailable} if a directory is not private (see {@link isPrivate}). */
export function checkFolder(folder: string): void {
  if (!isPrivate(folder)) throw new BrokerUnavailable(`${folder} is accessible to other users`)
}

const absent = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EAGAIN'])

/** Connects to the broker whose socket is in this directory. Resolves to undefined if no broker is listening. */
export async function findBroker(folder: string): Promise<Socket | undefined> {
  let socket: Socket | undefined
  try {
    checkFolder(folder)
    socket = connect(brokerSocket(folder))
    await once(socket, 'connect')
    return socket
  } catch (error) {
    socket?.destroy()
    if (error instanceof BrokerUnavailable) throw error
    if (absent.has(codeOf(error) ?? '')) return undefined
    throw new BrokerUnavailable(`cannot connect to the broker in ${folder}`, { cause: error })
  }
}
