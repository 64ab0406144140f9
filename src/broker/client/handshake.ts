import type { Socket } from 'node:net'
import type { SshOptions } from '../../transport/ssh/connect.ts'
import { BrokerUnavailable } from './find.ts'
import type { ServerMessage, Hello } from '../protocol.ts'
import { trace, traceRequest } from '../../os/trace.ts'
import { deserializeError } from '../serialize-error.ts'
import { Wire } from '../frames.ts'

/**
 * How long the broker may take to accept a request, in milliseconds. The broker accepts a request before it does any
 * other work.
 */
const acceptTimeoutMs = 8_000

/** The broker is running but does not respond. Never shown to the user. */
export class BrokerHung extends BrokerUnavailable {}

/**
 * Sends a request. Resolves when the broker has accepted it. Resolves to `retired` if the broker belongs to another
 * build, and to undefined if it exited; in these two cases, it has done nothing. Rejects with {@link BrokerHung} if it
 * does not respond.
 */
export function sendHello(socket: Socket, hello: Hello): Promise<Wire | 'retired' | undefined> {
  const wire = new Wire(socket)
  return new Promise((resolve, reject) => {
    const settle = (result: Wire | 'retired' | undefined) => {
      clearTimeout(timer)
      wire.pause()
      if (result !== wire) wire.destroy()
      resolve(result)
    }
    const giveUp = () => {
      reject(new BrokerHung("fleet's background process (the broker) did not answer"))
      wire.destroy()
    }
    const timer = setTimeout(giveUp, acceptTimeoutMs)
    wire.listen({
      message: (answer: ServerMessage) => settle('accepted' in answer ? wire : 'retired'),
      closed: () => settle(undefined),
    })
    trace('broker', `send a request to the broker: ${hello.open}`)
    wire.send({ ...hello, trace: traceRequest() })
  })
}

/** The broker stopped before it answered a request. Never shown to the user. */
export class BrokerGone extends Error {}

/** Waits until a request has been carried out, and forwards the broker's prompts to the user. */
export function waitUntilOpened(
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
