import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Client } from 'ssh2'
import type { SshSettings } from './config/settings.ts'
import { connectTcp } from './connect-tcp.ts'
import { ClosedEarly, type Endpoint, type Failure, explainFailure } from './connection-errors.ts'
import { type Handshake, HandshakeError, handshake } from './handshake.ts'
import {
  type ProxyCommand,
  ProxyCommandEnded,
  ProxyStream,
  startProxyCommand,
} from './proxy-command.ts'
import type { Transport } from '../transport.ts'
import { traceError, traceWork } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'
import { pause } from '../../os/retry.ts'

/** Waits between attempts that a busy sshd turns away (MaxStartups): 0.1, 0.2, 0.4 … s, each up to half shorter. */
const retryWaits = [100, 200, 400, 800, 1_600, 3_200]

/** What to connect to, and how. */
export interface Attempt {
  readonly endpoint: Endpoint
  /** A jump host. */
  readonly via?: Transport | undefined
  /** A program that carries the connection, and the environment that it runs in. */
  readonly proxy?: { readonly command: ProxyCommand; readonly env: Environment } | undefined
  readonly settings?: Pick<SshSettings, 'family' | 'bind'> | undefined
  /** Made anew for every try. */
  readonly handshake: () => Omit<Handshake, 'signal'>
  /** What it means that the handshake refused or was refused; undefined for the network's own failures. */
  readonly judge: (error: unknown) => Error | undefined
  /** Whether to connect again at once, because another attempt goes on where this one ended. */
  readonly canContinue?: (error: unknown) => boolean
  /** Aborted by the caller; its reason is thrown as it is. */
  readonly caller?: AbortSignal | undefined
}

/** A connection that is logged in, and the stream below it. */
export interface Connected {
  readonly client: Client
  readonly stream: Duplex
}

/** Opens the stream that carries a connection: TCP, a channel of a jump host, or a program. */
export async function openStream(
  { endpoint: { address, port }, via, proxy, settings }: Attempt,
  signal: AbortSignal,
): Promise<Duplex> {
  signal.throwIfAborted()
  if (proxy) return startProxyCommand(proxy.command, proxy.env)
  if (via) {
    const dialled = via.dial({ host: address, port })
    const late = once(signal, 'abort').then(() => Promise.reject(signal.reason))
    dialled.then((stream) => signal.aborted && stream.destroy()).catch(() => {})
    return await Promise.race([dialled, late])
  }
  return connectTcp(address, port, signal, settings)
}

/** What failed. A program that ended well and printed nothing has passed on that the server hung up. */
export function failureOf(error: unknown, stream: Duplex | undefined): Failure {
  const { stage, error: reason } =
    error instanceof HandshakeError ? error : { stage: 'connecting' as const, error }
  if (!(stream instanceof ProxyStream)) return { stage, error: reason }
  const { subject, output, advice } = stream
  const hungUp =
    reason instanceof ProxyCommandEnded &&
    reason.output === '' &&
    'code' in reason.ending &&
    reason.ending.code === 0
  return {
    stage,
    error: hungUp ? new ClosedEarly() : reason,
    proxy: { subject, output, hint: advice?.hint },
  }
}

/** What to make of attempts that fail. */
interface Judgement {
  readonly endpoint: Endpoint
  /** The error that ends the attempts; undefined for failures of the network. */
  readonly judge: (error: unknown) => Error | undefined | Promise<Error | undefined>
  readonly failure: (error: unknown) => Failure
  /** Whether the next attempt can do better at once. */
  readonly canContinue?: ((error: unknown) => boolean) | undefined
  /** Aborted by the caller; its reason is thrown as it is. */
  readonly caller?: AbortSignal | undefined
}

/** Opens a connection; again after a moment where a busy sshd hangs up. Throws what is shown to a person. */
export async function retryConnecting<Opened>(
  open: () => Promise<Opened>,
  { endpoint, judge, failure, canContinue, caller }: Judgement,
  signal: AbortSignal,
): Promise<Opened> {
  let tries = 0
  for (;;) {
    try {
      return await open()
    } catch (error) {
      caller?.throwIfAborted()
      const failed = failure(error)
      if (canContinue?.(failed.error) === true) {
        traceError('ssh', 'log in; trying other keys', error)
        continue
      }
      const judged = await judge(error)
      if (judged) throw judged
      const { error: explained, passing } = explainFailure(failed, endpoint)
      const wait = retryWaits[tries]
      tries += 1
      if (!passing || wait === undefined) throw explained
      traceError('ssh', `connect (attempt ${tries}); retrying`, error)
      await pause(wait * (1 - Math.random() / 2), signal).catch(() => {
        throw explained
      })
    }
  }
}

/** Connects; again after a moment where a busy sshd hangs up. Throws what is shown to a person. */
export function connectWithRetry(attempt: Attempt, signal: AbortSignal): Promise<Connected> {
  const { address, port } = attempt.endpoint
  const through = attempt.via
    ? ' through a jump host'
    : attempt.proxy
      ? ' through a proxy program'
      : ''
  let stream: Duplex | undefined
  const open = async () => {
    stream = undefined
    const opened = await traceWork('ssh', `connect to ${address}:${port}${through}`, () =>
      openStream(attempt, signal),
    )
    stream = opened
    const client = await traceWork('ssh', `log in to ${address}:${port}`, () =>
      handshake(opened, { ...attempt.handshake(), signal }),
    )
    return { stream: opened, client }
  }
  const failure = (error: unknown) => failureOf(error, stream)
  const judge = (error: unknown) => attempt.judge(failure(error).error)
  return retryConnecting(open, { ...attempt, judge, failure }, signal)
}
