import type { RemoteListener } from '../../transport/transport.ts'
import type { ServerMessage } from '../protocol.ts'
import type { Wire } from '../frames.ts'

/** Waits until the host is listening, then calls `announce` with the ID of each connection that the host accepts. */
export function joinListener(
  wire: Wire,
  announce: (connection: string) => void,
  broken: () => Error,
): Promise<RemoteListener> {
  return new Promise((resolve, reject) => {
    let closed = (): void => reject(broken())
    wire.listen({
      message(answer: ServerMessage) {
        if ('connection' in answer) announce(answer.connection)
        if (!('listening' in answer)) return
        resolve({
          ...answer.listening,
          [Symbol.asyncDispose]: () =>
            new Promise((done) => {
              closed = done
              wire.end()
            }),
        })
      },
      closed: () => closed(),
    })
  })
}
