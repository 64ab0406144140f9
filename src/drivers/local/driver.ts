import { stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { type Driver, unknownStatus } from '../driver.ts'
import { defaultSocket } from '../../machine/machine.ts'
import { socketInDockerHost } from './engine-sockets.ts'
import { ignored } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'

/** Returns the sockets on which an engine on this computer may listen, most likely first. */
function candidateSockets(env: Environment): string[] {
  const explicit = socketInDockerHost(env)
  const runtime = env['XDG_RUNTIME_DIR']
  return [
    ...(explicit === undefined ? [] : [explicit]),
    defaultSocket,
    ...(runtime === undefined ? [] : [`${runtime}/docker.sock`]), // a rootless engine listens here
  ]
}

const acceptsConnections = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

const isSocket = async (path: string): Promise<boolean> =>
  (await stat(path).catch(ignored('driver', 'check the engine socket')))?.isSocket() ?? false

/** Finds the first socket that accepts connections, or else the first that exists, or else Docker's default socket. */
async function findSocket(env: Environment): Promise<string> {
  const candidates = candidateSockets(env)
  for (const path of candidates) if (await acceptsConnections(path)) return path
  for (const path of candidates) if (await isSocket(path)) return path
  return defaultSocket
}

/** Creates the driver for the Docker engine on this computer, for a user with the environment variables `env`. */
export const localDriver = (env: Environment): Driver<{ socket?: string | undefined }> => ({
  async locate(_name, options) {
    const socket = options.socket ?? (await findSocket(env))
    return socket === defaultSocket ? {} : { socket }
  },
  observe: async (hosts) => unknownStatus(hosts),
})
