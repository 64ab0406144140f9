import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'ssh2'
import { connectTcp } from './connect-tcp.ts'
import { type Endpoint, type Failure, explainFailure } from './failure.ts'
import { type Handshake, HandshakeError, handshake } from './handshake.ts'
import type { Transport } from '../transport.ts'
import { traceError, traceWork } from '../../os/trace.ts'

/** Waits between attempts that a busy sshd turns away: 0.1, 0.2, 0.4 … s, each up to half shorter. */
const retryWaits = [100, 200, 400, 800, 1_600, 3_200]

/** What to connect to, and how. */
export interface Attempt {
  readonly endpoint: Endpoint
  /** A jump host. */
  readonly via?: Transport | undefined
  /** Made anew for every try. */
  readonly handshake: () => Omit<Handshake, 'signal'>
  /** What it means that the handshake refused or was refused; undefined for the network's own failures. */
  readonly judge: (error: unknown) => Error | undefined
  /** Aborted by the caller; its reason is thrown as it is. */
  readonly caller?: AbortSignal | undefined
}

/** A connection that is logged in, and the stream below it. */
export interface Connected {
  readonly client: Client
  readonly stream: Duplex
}

async function openStream(
  { endpoint: { address, port }, via }: Attempt,
  signal: AbortSignal,
): Promise<Duplex> {
  signal.throwIfAborted()
  if (via) {
    const dialled = via.dial({ host: address, port })
    const late = once(signal, 'abort').then(() => Promise.reject(signal.reason))
    dialled.then((stream) => signal.aborted && stream.destroy()).catch(() => {})
    return await Promise.race([dialled, late])
  }
  return connectTcp(address, port, signal)
}

const failureOf = (error: unknown): Failure =>
  error instanceof HandshakeError ? error : { stage: 'connecting', error }

/** Connects; again after a moment where a busy sshd hangs up. Throws what is to be told to a person. */
export async function connectWithRetry(attempt: Attempt, signal: AbortSignal): Promise<Connected> {
  for (let tries = 0; ; tries += 1) {
    try {
      const { address, port } = attempt.endpoint
      const through = attempt.via ? ' through a jump host' : ''
      const stream = await traceWork('ssh', `connect to ${address}:${port}${through}`, () =>
        openStream(attempt, signal),
      )
      const client = await traceWork('ssh', `log in to ${address}:${port}`, () =>
        handshake(stream, { ...attempt.handshake(), signal }),
      )
      return { stream, client }
    } catch (error) {
      attempt.caller?.throwIfAborted()
      const failure = failureOf(error)
      const judged = attempt.judge(failure.error)
      if (judged) throw judged
      const { error: explained, passing } = explainFailure(failure, attempt.endpoint)
      const wait = retryWaits[tries]
      if (!passing || wait === undefined) throw explained
      traceError('ssh', `connect (attempt ${tries + 1}), and tries again`, error)
      const waited = sleep(wait * (1 - Math.random() / 2), undefined, { signal })
      await waited.catch(() => {
        throw explained
      })
    }
  }
}
