import { UserError } from '../errors.ts'
import { afterMark, newMark, printMark } from './output-after-mark.ts'
import type { ExecOptions, RunningCommand, Transport } from './transport.ts'

/** How long a host may take to start a command, in milliseconds; it may have to wait for a free session. */
const startTimeoutMs = 60_000

const tooLate = (): UserError =>
  new UserError('failed', `the command could not be started within ${startTimeoutMs / 1000} s`, {
    hint: "other commands are using all of the SSH server's sessions; see MaxSessions in sshd_config on the host",
  })

/**
 * Starts a program whose output fleet parses: the output of the login shell's startup files is removed. Rejects if the
 * program does not start in time, and when `signal` is aborted.
 */
export async function startProgram(
  transport: Transport,
  words: readonly string[],
  { signal, ...options }: ExecOptions = {},
): Promise<RunningCommand> {
  signal?.throwIfAborted()
  const mark = newMark()
  const ending = new AbortController()
  const end = () => ending.abort(signal?.reason)
  signal?.addEventListener('abort', end, { once: true })
  const timer = setTimeout(() => ending.abort(tooLate()), startTimeoutMs)
  const ended = new Promise<never>((_, reject) => {
    ending.signal.addEventListener('abort', () => reject(ending.signal.reason as Error), {
      once: true,
    })
  })
  ended.catch(() => {})
  const starting = transport.exec(['sh', '-c', `${printMark}; exec "$@"`, mark, ...words], {
    ...options,
    signal: ending.signal,
  })
  starting.catch(() => {}) // ignored after an abort
  try {
    const running = await Promise.race([starting, ended])
    const forget = () => signal?.removeEventListener('abort', end)
    running.exit.then(forget, forget)
    return { ...running, stdout: afterMark(running.stdout, mark) }
  } catch (error) {
    signal?.removeEventListener('abort', end)
    throw error
  } finally {
    clearTimeout(timer)
  }
}
