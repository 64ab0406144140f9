import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename } from 'node:path'
import { Duplex } from 'node:stream'
import { callbackify, stripVTControlCharacters } from 'node:util'
import { codeOf } from '../../errors.ts'
import { signalGroup } from '../../os/signal-group.ts'
import { ignored, trace } from '../../os/trace.ts'
import type { Environment } from '../../os/environment.ts'
import { poll } from '../../os/retry.ts'

/**
 * A program of this computer whose stdin and stdout carry the SSH connection in place of TCP. It comes from the user's SSH
 * configuration or from a driver, never from machines.yaml: a file from git must not run anything.
 */
export type ProxyCommand =
  /** A line for the user's shell: `ProxyCommand` of ssh_config(5), with all tokens expanded. */
  | { readonly shell: string }
  /** A program and its arguments. */
  | ProxyProgram

/** A program that carries a connection, and what errors say about it. */
interface ProxyProgram {
  readonly argv: readonly string[]
  /** How to install it, for the error if it is missing. */
  readonly install?: string | undefined
  /** Next steps for its failures: the first whose text is in its stderr applies. An empty text is in any. */
  readonly hints?: readonly ProgramHint[] | undefined
}

/** The next step if a program fails with a known message. */
export interface ProgramHint {
  /** A part of the message. */
  readonly text: string
  readonly hint: string
  /** Whether waiting does not help, as where a permission is missing. */
  readonly isPermanent?: boolean | undefined
}

/** How a program ended, in the middle of a sentence. */
type Ending = { readonly code: number } | { readonly signal: string } | { readonly missing: true }

/** The program of a connection ended, or could not be started. */
export class ProxyCommandEnded extends Error {
  readonly ending: Ending
  /** The end of what it printed to stderr, on one line. */
  readonly output: string
  /** The next step; undefined for a failure that is not known. */
  readonly hint: string | undefined
  /** Whether another attempt would fail in the same way. */
  readonly isPermanent: boolean

  constructor(
    stream: Pick<ProxyStream, 'subject' | 'output' | 'install' | 'advice'>,
    ending: Ending,
  ) {
    const { subject, output, install, advice } = stream
    super(withOutput(`${subject} ${describeEnding(ending)}`, output))
    this.ending = ending
    this.output = output
    const isMissing = 'missing' in ending
    this.hint = isMissing ? install : advice?.hint
    this.isPermanent = isMissing || advice?.isPermanent === true
  }
}

function describeEnding(ending: Ending): string {
  if ('missing' in ending) return 'is not installed on this computer'
  return 'code' in ending
    ? `exited with code ${ending.code}`
    : `was ended by the signal ${ending.signal}`
}

/** Adds what the program printed to a sentence about it. */
export const withOutput = (sentence: string, output: string): string =>
  output === '' ? sentence : `${sentence}: ${output}`

/** How much of stderr is kept, in characters, and how much of it an error shows. */
const [keptOutput, shownOutput, shownLines] = [8_192, 300, 3]

/** The last lines of a program's stderr, on one line and without control characters. */
function lastLines(text: string): string {
  const lines = text
    .split(/[\r\n]+/)
    .map((line) =>
      stripVTControlCharacters(line)
        .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
        .replaceAll(/\p{Cf}/gu, '')
        .trim(),
    )
    .filter((line) => line !== '')
  const shown = lines.slice(-shownLines).join('; ')
  return shown.length > shownOutput ? `…${shown.slice(-shownOutput)}` : shown
}

/** How long a program has to end after SIGTERM, and how long output may follow its end, in milliseconds. */
const [killMs, drainMs, drainPollMs] = [500, 500, 5]

/** The process groups of all programs, which end with this process. */
const running = new Set<number>()

function endAtExit(pid: number): void {
  if (running.size === 0) process.once('exit', endAll)
  running.add(pid)
}

function endAll(): void {
  for (const pid of running) signalGroup(pid, 'SIGKILL')
}

function forget(pid: number): void {
  running.delete(pid)
  if (running.size === 0) process.off('exit', endAll)
}

/** The connection that a program carries. Destroying it ends the program and all processes of its group. */
export class ProxyStream extends Duplex {
  /** What messages call the program: the subject of a sentence. */
  readonly subject: string
  readonly install: string | undefined
  readonly #hints: readonly ProgramHint[]
  readonly #child: ChildProcessWithoutNullStreams
  readonly #exited: Promise<unknown>
  #stderr = ''

  constructor(command: ProxyCommand, env: Environment) {
    super({ autoDestroy: false })
    const [program = '', ...words] = argvOf(command, env)
    this.subject = 'shell' in command ? 'its ProxyCommand' : basename(program)
    this.install = 'argv' in command ? command.install : undefined
    this.#hints = ('argv' in command ? command.hints : undefined) ?? []
    const home = env['HOME'] ?? homedir()
    this.#child = spawn(program, words, {
      cwd: existsSync(home) ? home : '/', // the same in a command and in the broker
      detached: true, // a process group, so that all of it can be ended
      env,
      stdio: 'pipe',
    })
    this.#exited = once(this.#child, 'exit').catch(() => {})
    this.#watch()
  }

  /** The end of what the program has printed to stderr so far. */
  get output(): string {
    return lastLines(this.#stderr)
  }

  /** What to do about a failure, by what the program has printed to stderr so far. */
  get advice(): ProgramHint | undefined {
    return this.#hints.find(({ text }) => this.#stderr.includes(text))
  }

  #watch(): void {
    const { stdin, stdout, stderr, pid } = this.#child
    if (pid !== undefined) endAtExit(pid)
    this.#child
      .once('error', (error) => {
        if (pid === undefined) this.destroy(this.#startError(error))
      })
      .once('exit', (code, signal) => {
        if (pid !== undefined) {
          signalGroup(pid, 'SIGKILL') // what it left behind
          forget(pid)
        }
        void this.#finish(signal === null ? { code: code ?? 0 } : { signal })
      })
    stdin.on('error', ignored('ssh', 'write to the program of a connection'))
    stdout
      .on('error', ignored('ssh', 'read from the program of a connection'))
      .on('data', (chunk: Buffer) => {
        if (!this.push(chunk)) stdout.pause()
      })
    stderr
      .on('error', ignored('ssh', 'read the messages of the program of a connection'))
      .setEncoding('utf8')
      .on('data', (text: string) => {
        this.#stderr = (this.#stderr + text).slice(-keptOutput)
        trace('ssh', `${this.subject} prints: ${lastLines(text)}`)
      })
  }

  #startError(error: unknown): Error {
    if (codeOf(error) !== 'ENOENT') return error as Error
    return new ProxyCommandEnded(this, { missing: true })
  }

  /** Passes on what the program printed last, then ends the connection with its reason. */
  async #finish(ending: Ending): Promise<void> {
    const { stdout, stderr } = this.#child
    const printed = [stdout, stderr].map(async (stream) => {
      if (!stream.closed) await once(stream, 'close')
    })
    const late = AbortSignal.timeout(drainMs) // a background process may keep them open
    await Promise.race([Promise.all(printed), once(late, 'abort')])
    const hasDrained = async () => this.readableLength === 0 || late.aborted || undefined
    await poll(hasDrained, { pauseMs: drainPollMs })
    this.destroy(new ProxyCommandEnded(this, ending))
  }

  override _read(): void {
    this.#child.stdout.resume()
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    const { stdin } = this.#child
    if (stdin.write(bytes)) done()
    else stdin.once('drain', done)
  }

  override _write(bytes: Buffer, _encoding: unknown, done: (error?: Error | null) => void): void {
    this.#send(bytes, done)
  }

  override _writev(
    chunks: { readonly chunk: Buffer }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#child.stdin.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { pid, stdin, stdout, stderr } = this.#child
    for (const stream of [stdin, stdout, stderr]) stream.destroy()
    if (pid === undefined || !running.has(pid)) return done(error)
    signalGroup(pid, 'SIGTERM')
    const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), killMs)
    const ended = async () => {
      await this.#exited
      clearTimeout(timer)
    }
    callbackify(ended)(() => done(error))
  }
}

/** ssh runs the line by the user's shell, which the program replaces. */
function argvOf(command: ProxyCommand, env: Environment): readonly string[] {
  if ('argv' in command) return command.argv
  return [env['SHELL'] || '/bin/sh', '-c', `exec ${command.shell}`]
}

/** Starts the program of a connection. It runs in the user's home folder and cannot ask on the terminal. */
export const startProxyCommand = (command: ProxyCommand, env: Environment): ProxyStream =>
  new ProxyStream(command, env)
