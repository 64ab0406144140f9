import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { UserError } from '../../errors.ts'
import { traceError } from '../../os/trace.ts'

/** Below what systems give to outgoing connections (32768 on Linux, 49152 elsewhere). */
const [lowest, highest] = [22_000, 31_999]

/** Whether nobody listens on a port of 127.0.0.1. */
export async function isPortFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch (error) {
    traceError('driver', 'listen at the port', error)
    return false
  } finally {
    server.close()
  }
}

/**
 * A free port of 127.0.0.1 that is not among `taken`. To be called under a lock, and noted before that is given up. The search
 * begins anywhere: the ports of other drivers' and other people's hosts are nobody's while those are stopped.
 */
export async function chooseLoopbackPort(taken: ReadonlySet<number>): Promise<number> {
  const count = highest - lowest + 1
  const first = randomInt(count)
  for (let index = 0; index < count; index++) {
    const port = lowest + ((first + index) % count)
    if (!taken.has(port) && (await isPortFree(port))) return port
  }
  throw new UserError('failed', `no port of 127.0.0.1 between ${lowest} and ${highest} is free`)
}
