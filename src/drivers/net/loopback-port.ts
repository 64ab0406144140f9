import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { UserError } from '../../errors.ts'
import { traceError } from '../../os/trace.ts'

/** The range of ports to choose from, below the system's ephemeral port range (32768 on Linux, 49152 elsewhere). */
const [lowest, highest] = [22_000, 31_999]

/** Whether a port on 127.0.0.1 is free. */
export async function isPortFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch (error) {
    traceError('driver', 'listen on the port', error)
    return false
  } finally {
    server.close()
  }
}

/**
 * Chooses a free port on 127.0.0.1 that is not in `taken`. The caller must hold a lock until the port has been
 * recorded. The search starts at a random port, because ports that belong to other drivers' or users' stopped hosts
 * look free.
 */
export async function chooseLoopbackPort(taken: ReadonlySet<number>): Promise<number> {
  const count = highest - lowest + 1
  const first = randomInt(count)
  for (let index = 0; index < count; index++) {
    const port = lowest + ((first + index) % count)
    if (!taken.has(port) && (await isPortFree(port))) return port
  }
  throw new UserError(
    'failed',
    `there is no free port on 127.0.0.1 between ${lowest} and ${highest}`,
  )
}
