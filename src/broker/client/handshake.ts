import type { Socket } from 'node:net'
import type { SshOptions } from '../../transport/ssh/connect.ts'
import { BrokerUnavailable } from './find.ts'
import type { ServerMessage, Hello } from '../protocol.ts'
import { trace, traceRequest } from '../../os/trace.ts'
import { deserializeError } from '../serialize-error.ts'
import { Wire } from '../wire.ts'

/** How long the broker may take to say that it has heard, which it does before anything else: no work takes it so long. */
const hungMs = 8_000

/** Thrown inside when the broker is there and does not hear. */
export class BrokerHung extends BrokerUnavailable {}

/**
 * Sends a request, and tells whether this broker takes it. Else it did nothing, and is not to be used: it is of another build
 * and ends when what runs through it has (`retired`), or it went away. Rejects with {@link BrokerHung}.
 */
export function introduce(socket: Socket, opening: Hello): Promise<Wire | 'retired' | undefined> {
  const wire = new Wire(socket)
  return new Promise((resolve, reject) => {
    const settle = (result: Wire | 'retired' | undefined) => {
      clearTimeout(timer)
      wire.pause()
      if (result !== wire) wire.destroy()
      resolve(result)
    }
    const giveUp = () => {
      reject(new BrokerHung('the broker does not answer'))
      wire.destroy()
    }
    const timer = setTimeout(giveUp, hungMs)
    wire.listen({
      message: (answer: ServerMessage) => settle('accepted' in answer ? wire : 'retired'),
      closed: () => settle(undefined),
    })
    trace('broker', `ask the broker: ${opening.open}`)
    wire.send({ ...opening, trace: traceRequest() })
  })
}

/** Thrown inside when the broker ends before it has said what came of a request. */
export class BrokerGone extends Error {}

/** Waits until what was asked for is there, and asks the person what there is to ask meanwhile. */
export function awaitOpened(
  wire: Wire,
  { signal, prompt }: Pick<SshOptions, 'signal' | 'prompt'>,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      signal?.removeEventListener('abort', abort)
      reject(error)
      wire.destroy()
    }
    const abort = () => fail(signal?.reason as Error)
    signal?.addEventListener('abort', abort, { once: true })
    wire.listen({
      message(answer: ServerMessage) {
        if ('error' in answer) fail(deserializeError(answer.error))
        else if ('ask' in answer)
          prompt?.(answer.ask).then((text) => wire.send({ answer: text }), fail)
        else if ('opened' in answer) {
          wire.pause()
          signal?.removeEventListener('abort', abort)
          resolve(answer.opened)
        }
      },
      closed: () => fail(new BrokerGone()),
    })
    if (signal?.aborted) abort()
  })
}
