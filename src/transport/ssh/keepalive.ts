import type { Duplex } from 'node:stream'
import type { ConnectConfig } from 'ssh2'
import type { SshSettings } from './config/settings.ts'

type Alive = SshSettings['alive']

/** The default interval of probes, in seconds, and the number of silent intervals after which a connection is lost. */
export const usualAlive = { seconds: 4, count: 3 }

/** Returns options that make ssh2 probe a connection but never end it. {@link watchForSilence} ends it instead. */
export const keepalive = (
  alive: Alive,
): Pick<ConnectConfig, 'keepaliveInterval' | 'keepaliveCountMax'> => ({
  keepaliveInterval: (alive ?? usualAlive).seconds * 1000,
  keepaliveCountMax: Number.MAX_SAFE_INTEGER,
})

/**
 * Calls `end` when no data has arrived for as long as `alive` allows. Any data counts, not only the answer to a probe,
 * which may have to wait behind a long upload. The ticks of a timer are counted instead of the elapsed time, so that a
 * process that was suspended first reads the data that arrived in the meantime.
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
