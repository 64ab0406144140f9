import type { Duplex } from 'node:stream'
import type { ConnectConfig } from 'ssh2'
import type { SshSettings } from './config/settings.ts'

type Alive = SshSettings['alive']

/** How often a connection is probed, and after how many silent intervals it is lost, unless ssh_config says otherwise. */
export const usualAlive = { seconds: 4, count: 3 }

/** Options of ssh2 that make it probe a connection, but never end it: {@link watchForSilence} does. */
export const keepalive = (
  alive: Alive,
): Pick<ConnectConfig, 'keepaliveInterval' | 'keepaliveCountMax'> => ({
  keepaliveInterval: (alive ?? usualAlive).seconds * 1000,
  keepaliveCountMax: Number.MAX_SAFE_INTEGER,
})

/**
 * Calls `end` once nothing has come for as long as `alive` allows. Any byte counts, not only an answer to a
 * probe, since that may wait behind a long upload. Ticks are counted and not the clock, so that a process
 * that was suspended first gets to read what has come meanwhile.
 */
export function watchForSilence(stream: Duplex, alive: Alive, end: (cause: Error) => void): void {
  const { seconds, count } = alive ?? usualAlive
  const limit = seconds * count
  let silent = 0
  stream.on('data', () => (silent = 0))
  const timer = setInterval(() => {
    silent += 1
    if (silent >= limit) end(new Error(`no data received for ${limit} s`))
  }, 1_000).unref()
  stream.once('close', () => clearInterval(timer))
}
