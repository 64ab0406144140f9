import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'ssh2'
import type { SshSettings } from './config/settings.ts'
import { type Endpoint, connectionLost } from './connection-errors.ts'
import { watchForSilence } from './keepalive.ts'

/** How long a polite goodbye may take. */
const goodbyeMs = 500

/** An SSH connection that is logged in. */
export interface Connection extends AsyncDisposable {
  readonly client: Client
  /** What the connection runs over. */
  readonly stream: Duplex
  readonly endpoint: Endpoint
  /** Rejects when the connection is lost; never resolves. */
  readonly lost: Promise<never>
  /** Why the connection is no more; undefined while it is up. */
  readonly ended: () => Error | undefined
  /** Sends a request that does nothing: to cancel a forwarding that is not (RFC 4254 7.1). */
  readonly flush: () => void
  /** Resolves once the host has dealt with all that was sent before, or is lost. */
  readonly settled: () => Promise<void>
}

/** Whether a connection is up. `end` ends it with a cause; after `close`, its end is no loss. */
interface Loss extends Pick<Connection, 'lost' | 'ended'> {
  readonly end: (cause?: unknown) => void
  readonly close: () => void
}

/** Watches for errors of a client. `destroy` frees what a connection holds when it ends. */
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
  lost.catch(() => {}) // not every caller watches
  client.prependListener('error', end)
  return { lost, ended: () => ended, end, close: () => void (isClosing = true) }
}

/** Watches over a connection until it is lost or disposed of. */
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
