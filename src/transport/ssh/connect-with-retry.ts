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

/**
 * Pauses between attempts that a busy sshd rejects (MaxStartups), in milliseconds. Each pause is shortened by a random
 * amount of up to half its length.
 */
const retryWaits = [100, 200, 400, 800, 1_600, 3_200]

/** The host to connect to, and how to connect to it. */
export interface Attempt {
  readonly endpoint: Endpoint
  /** The transport of the jump host. */
  readonly via?: Transport | undefined
  /** A proxy program, and its environment. */
  readonly proxy?: { readonly command: ProxyCommand; readonly env: Environment } | undefined
  readonly settings?: Pick<SshSettings, 'family' | 'bind'> | undefined
  /** Creates the parameters of the handshake. Called once for each attempt. */
  readonly handshake: () => Omit<Handshake, 'signal'>
  /** Returns the error if the host key or the login was rejected; undefined for network failures. */
  readonly judge: (error: unknown) => Error | undefined
  /** Whether to connect again immediately, because another attempt can continue where this attempt ended. */
  readonly canContinue?: (error: unknown) => boolean
  /** The caller's abort signal, whose reason is thrown unchanged. */
  readonly caller?: AbortSignal | undefined
}

/** A connection that has logged in, and its underlying stream. */
export interface Connected {
  readonly client: Client
  readonly stream: Duplex
}

/** Opens the underlying stream of a connection: TCP, a channel of a jump host, or a proxy program. */
export async function openStream(
  { endpoint: { address, port }, via, proxy, settings }: Attempt,
  signal: AbortSignal,
): Promise<Duplex> {
  signal.throwIfAborted()
  if (proxy) return startProxyCommand(proxy.command, proxy.env)
  if (via) {
    const dialing = via.dial({ host: address, port })
    const late = once(signal, 'abort').then(() => Promise.reject(signal.reason))
    dialing.then((stream) => signal.aborted && stream.destroy()).catch(() => {})
    return await Promise.race([dialing, late])
  }
  return connectTcp(address, port, signal, settings)
}

/**
 * Describes a failure. If a proxy program has exited with code 0 and printed nothing, the server has closed the
 * connection.
 */
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

/** How to handle attempts that fail. */
interface Judgement {
  readonly endpoint: Endpoint
  /** Returns the error that ends the attempts; undefined for network failures. */
  readonly judge: (error: unknown) => Error | undefined | Promise<Error | undefined>
  readonly failure: (error: unknown) => Failure
  /** Whether to try again immediately, because the next attempt may succeed. */
  readonly canContinue?: ((error: unknown) => boolean) | undefined
  /** The caller's abort signal, whose reason is thrown unchanged. */
  readonly caller?: AbortSignal | undefined
}

/** Opens a connection, and retries after a pause if a busy sshd closes it. Throws the error to show to the user. */
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

/**
 * Connects and logs in, and retries after a pause if a busy sshd closes the connection. Throws the error to show to the
 * user.
 */
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
