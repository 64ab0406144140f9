import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { basename } from 'node:path'
import { Duplex, type Readable, type Writable } from 'node:stream'
import { callbackify, stripVTControlCharacters } from 'node:util'
import { codeOf } from '../../errors.ts'
import { signalGroup } from '../../os/signal-group.ts'
import { ignored, trace, traceError } from '../../os/trace.ts'
import { type Environment, homeOf } from '../../os/environment.ts'
import { pause, poll, retry } from '../../os/retry.ts'

/**
 * A proxy program: a local program that an SSH connection runs over instead of TCP. It comes from the user's SSH
 * configuration or from a driver, never from machines.yaml: a file from a Git repository must not be able to run
 * programs.
 */
export type ProxyCommand =
  /** A line for the user's shell: `ProxyCommand` of ssh_config(5), with all tokens expanded. */
  | { readonly shell: string }
  /** A program and its arguments. */
  | ProxyProgram

/** A proxy program, and the texts for its errors. */
interface ProxyProgram {
  readonly argv: readonly string[]
  /** How to install the program, shown in the error if the program is missing. */
  readonly install?: string | undefined
  /**
   * Hints for failures of the program. The first hint whose text occurs in the program's standard error applies; an
   * empty text always applies.
   */
  readonly hints?: readonly ProgramHint[] | undefined
  /** Additional environment variables for the program. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Present if the program listens on a port; absent if the connection uses its standard input and output. */
  readonly listens?: ListeningProgram | undefined
}

/**
 * A proxy program that listens on a TCP port of 127.0.0.1 for the connection. It is stopped with SIGINT, not SIGTERM.
 */
interface ListeningProgram {
  /** The text that precedes the port number in the program's standard error. */
  readonly portAfter: string
  /** Texts by which lines of the program's standard error are recognized as messages that are not errors. */
  readonly messages: readonly string[]
}

/** The next step if a program fails with a known message. */
export interface ProgramHint {
  /** A part of the message. */
  readonly text: string
  readonly hint: string
  /** Whether another attempt is pointless, as when a permission is missing. */
  readonly isPermanent?: boolean | undefined
}

/** How a program ended: its exit code, or the signal that killed it; `missing` if it is not installed. */
type Ending = { readonly code: number } | { readonly signal: string } | { readonly missing: true }

/** A proxy program ended, or could not be started. */
export class ProxyCommandEnded extends Error {
  readonly ending: Ending
  /** The end of what the program printed to standard error, on one line. */
  readonly output: string
  /** The next step; undefined for an unknown failure. */
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
    : `was killed by signal ${ending.signal}`
}

/** Appends the output of a program to a sentence about the program. */
export const withOutput = (sentence: string, output: string): string =>
  output === '' ? sentence : `${sentence}: ${output}`

/** How much of standard error is kept, in characters, and how much of it an error shows, in characters and in lines. */
const [keptOutput, shownOutput, shownLines] = [8_192, 300, 3]

/** Returns the last lines of a program's standard error, on one line and without control characters. */
function lastLines(text: string, messages: readonly string[] = []): string {
  const lines = text
    .split(/[\r\n]+/)
    .map((line) =>
      stripVTControlCharacters(line)
        .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
        .replaceAll(/\p{Cf}/gu, '')
        .trim(),
    )
    .filter((line) => line !== '' && !messages.some((message) => line.includes(message)))
  const shown = lines.slice(-shownLines).join('; ')
  return shown.length > shownOutput ? `…${shown.slice(-shownOutput)}` : shown
}

/**
 * How long a program may take to exit after SIGTERM, how long its last output may take to arrive and to be read, and
 * how often to check whether it has been read, in milliseconds.
 */
const [killMs, drainMs, drainPollMs] = [500, 500, 5]

/** How long a listening program may take to close its session at the provider after SIGINT, in milliseconds. */
const interruptMs = 3_000

/** How long to wait before the next attempt to connect to a port that a program has announced, in milliseconds. */
const listenPollMs = 20

/** The process groups of all running proxy programs, which are killed when this process exits. */
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

/** The two streams of a connection. */
interface Carrier {
  readonly input: Writable
  readonly output: Readable
}

/** A connection through a proxy program. Destroying it ends the program and all processes in its process group. */
export class ProxyStream extends Duplex {
  /** The name of the program in messages, as the subject of a sentence. */
  readonly subject: string
  readonly install: string | undefined
  readonly #hints: readonly ProgramHint[]
  readonly #child: ChildProcessWithoutNullStreams
  readonly #exited: Promise<unknown>
  readonly #listens: ListeningProgram | undefined
  /** The streams of the connection; undefined until the program is listening. */
  #carrier: Carrier | undefined
  #isDialling = false
  /** Sends the data that was written before the program was listening. */
  #whenCarried: (() => void) | undefined
  #stderr = ''

  constructor(command: ProxyCommand, env: Environment) {
    super({ autoDestroy: false })
    const [program = '', ...words] = argvOf(command, env)
    this.subject = 'shell' in command ? 'the ProxyCommand' : basename(program)
    const details = 'argv' in command ? command : undefined
    this.install = details?.install
    this.#hints = details?.hints ?? []
    this.#listens = details?.listens
    const home = homeOf(env)
    this.#child = spawn(program, words, {
      cwd: existsSync(home) ? home : '/', // the same directory for a command and for the broker
      detached: true, // a process group, so that all its processes can be ended
      env: { ...env, ...details?.env },
      stdio: 'pipe',
    })
    this.#exited = once(this.#child, 'exit').catch(() => {})
    this.#watch()
    const { stdin, stdout } = this.#child
    if (this.#listens === undefined) this.#carryBy({ input: stdin, output: stdout })
    else {
      stdin.end()
      stdout.resume()
    }
  }

  /** The end of what the program has printed to standard error so far. */
  get output(): string {
    return lastLines(this.#stderr, this.#listens?.messages)
  }

  /** The hint for a failure, according to what the program has printed to standard error so far. */
  get advice(): ProgramHint | undefined {
    return this.#hints.find(({ text }) => this.#stderr.includes(text))
  }

  #watch(): void {
    const { stdin, stderr, pid } = this.#child
    if (pid !== undefined) endAtExit(pid)
    this.#child
      .once('error', (error) => {
        if (pid === undefined) this.destroy(this.#startError(error))
      })
      .once('exit', (code, signal) => {
        if (pid !== undefined) {
          signalGroup(pid, 'SIGKILL') // processes that the program left behind
          forget(pid)
        }
        void this.#finish(signal === null ? { code: code ?? 0 } : { signal })
      })
    stdin.on('error', ignored('ssh', 'write to a proxy program'))
    stderr
      .on('error', ignored('ssh', 'read the error output of a proxy program'))
      .setEncoding('utf8')
      .on('data', (text: string) => {
        this.#stderr = (this.#stderr + text).slice(-keptOutput)
        trace('ssh', `${this.subject} printed: ${lastLines(text)}`)
        if (this.#listens) this.#findPort(this.#listens)
      })
  }

  /** Connects as soon as the program has announced its port. Does nothing if it has already begun to connect. */
  #findPort(listens: ListeningProgram): void {
    const [, after] = this.#stderr.split(listens.portAfter)
    const port = Number(/^(\d{1,5})\D/.exec(after ?? '')?.[1])
    if (!(port > 0) || this.#isDialling) return
    this.#isDialling = true
    void this.#dial(port)
  }

  /**
   * Connects to the port of the program. Tries repeatedly, since the program may announce its port before it listens.
   */
  async #dial(port: number): Promise<void> {
    const open = async () => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true })
      await once(socket, 'connect')
      return socket
    }
    try {
      const socket = await retry(open, {
        pauseMs: listenPollMs,
        canRetry: () => !this.destroyed,
      })
      socket.on('close', () => void this.#endSoon())
      if (this.destroyed) socket.destroy()
      else this.#carryBy({ input: socket, output: socket })
    } catch (error) {
      traceError('ssh', `connect to ${this.subject}'s port`, error)
    }
  }

  /**
   * Ends the stream after its connection has ended, unless the program exits soon: the program's exit status then
   * explains the reason better.
   */
  async #endSoon(): Promise<void> {
    await Promise.race([this.#exited, pause(drainMs)])
    if (this.#child.exitCode === null && !this.destroyed) this.push(null)
  }

  #carryBy(carrier: Carrier): void {
    this.#carrier = carrier
    const { input, output } = carrier
    input.on('error', ignored('ssh', 'write to a proxy program'))
    output.on('error', ignored('ssh', 'read from a proxy program')).on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) output.pause()
    })
    this.#whenCarried?.()
  }

  #startError(error: unknown): Error {
    if (codeOf(error) !== 'ENOENT') return error as Error
    return new ProxyCommandEnded(this, { missing: true })
  }

  /** Passes on the program's last output, then destroys the stream with the reason for the program's exit. */
  async #finish(ending: Ending): Promise<void> {
    const printed = [this.#child.stdout, this.#child.stderr].map(async (stream) => {
      if (!stream.closed) await once(stream, 'close')
    })
    const late = AbortSignal.timeout(drainMs) // a background process may keep the streams open
    await Promise.race([Promise.all(printed), once(late, 'abort')])
    const hasDrained = async () => this.readableLength === 0 || late.aborted || undefined
    await poll(hasDrained, { pauseMs: drainPollMs })
    this.destroy(new ProxyCommandEnded(this, ending))
  }

  override _read(): void {
    this.#carrier?.output.resume()
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (this.#carrier === undefined) {
      this.#whenCarried = () => this.#send(bytes, done)
      return
    }
    const { input } = this.#carrier
    if (input.write(bytes)) done()
    else input.once('drain', done)
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
    this.#carrier?.input.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { pid, stdin, stdout, stderr } = this.#child
    for (const stream of [stdin, stdout, stderr, this.#carrier?.input]) stream?.destroy()
    if (pid === undefined || !running.has(pid)) return done(error)
    signalGroup(pid, this.#listens ? 'SIGINT' : 'SIGTERM')
    const timer = setTimeout(
      () => signalGroup(pid, 'SIGKILL'),
      this.#listens ? interruptMs : killMs,
    )
    const ended = async () => {
      await this.#exited
      clearTimeout(timer)
    }
    callbackify(ended)(() => done(error))
  }
}

/**
 * Returns the argument list that starts a proxy program. A shell line is run by the user's shell, which the program
 * then replaces, as in ssh.
 */
function argvOf(command: ProxyCommand, env: Environment): readonly string[] {
  if ('argv' in command) return command.argv
  return [env['SHELL'] || '/bin/sh', '-c', `exec ${command.shell}`]
}

/** Starts a proxy program. It runs in the user's home directory and cannot prompt on the terminal. */
export const startProxyCommand = (command: ProxyCommand, env: Environment): ProxyStream =>
  new ProxyStream(command, env)
