import * as z from 'zod'
import { socketPath } from '../../machine/fields.ts'
import { defineDriver } from '../driver.ts'
import { isEngineSocket } from './engine-sockets.ts'

/** The driver for the Docker engine on this computer. */
export const local = defineDriver({
  name: 'local',
  summary: 'the Docker engine on this computer',
  options: z.strictObject({
    socket: socketPath.optional().describe('Engine socket path (default: detected)'),
  }),
  grants: ({ socket }: { readonly socket?: string }, env) => [
    {
      what:
        socket === undefined
          ? 'the Docker engine on this computer'
          : `the Docker engine on this computer, at the socket ${socket}`,
      ...(socket !== undefined &&
        !isEngineSocket(socket, env) && { path: socket, isUnknownSocket: true }),
    },
  ],
  load: async (_folder, { env }) => (await import('./driver.ts')).localDriver(env),
})
