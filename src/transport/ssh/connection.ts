import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'ssh2'
import type { SshSettings } from './config/settings.ts'
import { type Endpoint, connectionLost } from './connection-errors.ts'
import { watchForSilence } from './keepalive.ts'

/** How long to wait for the server to close the connection, in milliseconds. */
const goodbyeMs = 500

/** An SSH connection that is logged in. */
export interface Connection extends AsyncDisposable {
  readonly client: Client
  /** The underlying stream of the connection. */
  readonly stream: Duplex
  readonly endpoint: Endpoint
  /** Rejects when the connection is lost; never resolves. */
  readonly lost: Promise<never>
  /** Returns why the connection has ended; undefined while the connection is up. */
  readonly ended: () => Error | undefined
  /** Sends a request that has no effect: it cancels a forwarding that does not exist (RFC 4254 7.1). */
  readonly flush: () => void
  /** Resolves when the host has processed everything that has been sent so far, or when the connection has ended. */
  readonly settled: () => Promise<void>
}

/**
 * The state of a connection. `end` marks the connection as ended, with a cause. After `close` has been called, the end
 * of the connection does not count as a loss.
 */
interface Loss extends Pick<Connection, 'lost' | 'ended'> {
  readonly end: (cause?: unknown) => void
  readonly close: () => void
}

/** Watches a client for errors. `destroy` is called when the connection ends, to free its resources. */
export function watchLoss(client: Client, endpoint: Endpoint, destroy: () => void): Loss {
  let ended: Error | undefined
  let isClosing = false
  let reject: (error: Error) => void
  const lost = new Promise<never>((_resolve, rejectLost) => {
    reject = rejectLost
  })
  const end = (cause?: unknown) => {
    if (ended) return
    ended = isClosing
      ? new Error(`the connection to ${endpoint.machine} is closed`)
      : connectionLost(endpoint, cause)
    if (!isClosing) reject(ended)
    destroy()
  }
  lost.catch(() => {}) // not every caller handles the rejection
  client.prependListener('error', end)
  return { lost, ended: () => ended, end, close: () => void (isClosing = true) }
}

/** Watches a connection until it is lost or disposed of. */
export function watchConnection(
  client: Client,
  stream: Duplex,
  endpoint: Endpoint & Pick<SshSettings, 'alive'>,
): Connection {
  const { end, close, ...loss } = watchLoss(client, endpoint, () => stream.destroy())
  client.prependListener('close', () => end())
  watchForSilence(stream, endpoint.alive, end)
  return {
    ...{ client, stream, endpoint },
    ...loss,
    flush() {
      if (!loss.ended() && stream.writable) client.unforwardIn('127.0.0.1', 1)
    },
    settled: () =>
      new Promise((resolve) => {
        if (loss.ended() || !stream.writable) resolve()
        else client.unforwardIn('127.0.0.1', 1, () => resolve())
      }),
    async [Symbol.asyncDispose]() {
      close()
      if (stream.destroyed) return
      const waiting = new AbortController()
      const closed = once(stream, 'close', { signal: waiting.signal }).catch(() => {})
      client.end()
      await Promise.race([closed, sleep(goodbyeMs, undefined, { ref: false })])
      waiting.abort()
      stream.destroy()
    },
  }
}
