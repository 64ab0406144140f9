import type { Connection } from './connection.ts'

/** Prevents sshd from delaying responses until earlier data is acknowledged. */
export interface Flush {
  /** Whether a command must be run to end the delays; true at most once. */
  begin(): boolean
  /** Must be called when a command has been started: from then on, sshd no longer delays responses. */
  end(): void
}

/**
 * Prevents delays in the responses of sshd, which leaves Nagle's algorithm on until a connection runs its first command
 * (`set_nodelay` in OpenSSH's packet.c). Until then, sshd may hold back a small response for 40 ms, waiting for
 * everything before it to be acknowledged. Therefore, all received data is answered immediately with a request that has
 * no effect, whose packet also acknowledges the data. A connection that begins with a forwarded socket also runs
 * `true`. Measured: the first HTTP request over a new connection takes 3 ms, compared with 45 ms without these
 * measures; with `true` alone, it still takes 45 ms in half of the cases.
 */
export function flushEagerly({ stream, flush }: Connection): Flush {
  let begun = false
  stream.on('data', flush)
  return {
    begin() {
      const first = !begun
      begun = true
      return first
    },
    end() {
      begun = true
      stream.off('data', flush)
    },
  }
}
