import { UserError } from '../errors.ts'
import { afterMark, newMark, printMark } from './after-mark.ts'
import type { ExecOptions, RunningCommand, Transport } from './transport.ts'

/** How long a host may take until a command runs. Others may hold all sessions that it allows. */
const startTimeoutMs = 60_000

const tooLate = (): UserError =>
  new UserError('failed', `no command could be started within ${startTimeoutMs / 1000} s`, {
    hint: 'other commands use all sessions of the SSH server; see MaxSessions in its sshd_config',
  })

/**
 * Starts a program whose output is read by fleet: it begins where the program's does, whatever the start files of the login
 * shell print. Rejects when the program does not run in time, and as soon as `signal` aborts.
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
  starting.catch(() => {}) // after an abort nobody waits for it
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
