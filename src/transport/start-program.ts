import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { UserError } from '../errors.ts'
import type { ExecOptions, RunningCommand, Transport } from './transport.ts'

/** How long a host may take until a command runs. Others may hold all sessions that it allows. */
const startTimeoutMs = 60_000

/** What a login shell may print before the program begins. */
const greetingLimit = 1 << 20

/** Tells where the output of the program begins: the shell that sshd starts may have printed before. */
const markStart = `printf '%s\\n' "$0"; exec "$@"`

/** What comes after the mark. Nothing where there is none: the program was not begun. */
async function* afterMark(output: Readable, mark: string): AsyncGenerator<Buffer, void> {
  const wanted = Buffer.from(`${mark}\n`)
  let greeting: Buffer | undefined = Buffer.alloc(0)
  for await (const chunk of output) {
    if (greeting === undefined) {
      yield chunk as Buffer
      continue
    }
    greeting = Buffer.concat([greeting, chunk as Buffer])
    const at = greeting.indexOf(wanted)
    if (at === -1 && greeting.length > greetingLimit) {
      throw new UserError('failed', 'the login shell prints without an end before a command runs', {
        hint: "see the start files of the shell on the host, such as ~/.bashrc: they must print nothing where $- has no 'i'",
      })
    }
    if (at === -1) continue
    const rest = greeting.subarray(at + wanted.length)
    greeting = undefined
    if (rest.length > 0) yield rest
  }
}

const tooLate = (): UserError =>
  new UserError('failed', `no command could be started within ${startTimeoutMs / 1000} s`, {
    hint: 'other commands hold all sessions of the SSH server; see MaxSessions in its sshd_config',
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
  const mark = `fleet-${randomUUID()}`
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
  const starting = transport.exec(['sh', '-c', markStart, mark, ...words], {
    ...options,
    signal: ending.signal,
  })
  starting.catch(() => {}) // after an abort nobody waits for it
  try {
    const running = await Promise.race([starting, ended])
    const forget = () => signal?.removeEventListener('abort', end)
    running.exit.then(forget, forget)
    const stdout = Readable.from(afterMark(running.stdout, mark), {
      objectMode: false,
      highWaterMark: 1 << 20,
    })
    return { ...running, stdout }
  } catch (error) {
    signal?.removeEventListener('abort', end)
    throw error
  } finally {
    clearTimeout(timer)
  }
}
