import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { UserError } from '../../errors.ts'
import { hostCommand } from '../../machine/host-command.ts'
import { exitCodeOf } from '../../transport/command.ts'
import { readBeginning } from '../../transport/run.ts'
import { startProgram } from '../../transport/start-program.ts'
import type { ExitStatus, Transport } from '../../transport/transport.ts'
import { ignored } from '../../os/trace.ts'

/** A host on which commands run. */
export interface Host {
  /** The name of its machine. */
  readonly name: string
  readonly transport: Transport
  /** The command prefix to run as another user, such as `sudo -n`. */
  readonly become?: readonly string[]
}

/** A command line to show in a hint. It runs a command on a host as the user who writes files there. */
export const commandOn = ({ name, become = [] }: Host, command: string): string =>
  hostCommand(name, command, { sudo: become.length > 0 })

/**
 * The tar command, with English messages, because they are parsed. GNU tar uses blocks of 64 KiB, which halves its run
 * time; other versions of tar ignore the variable.
 */
export const tar = ['env', 'LC_ALL=C', 'TAR_OPTIONS=--blocking-factor=128', 'tar']

/** The text that replaces GNU tar's message "Wrote only …". */
const noSpace = 'No space left on device'

/** Returns the error message of tar or another program, without the program's name and tar's closing lines. */
export const reasonOf = (errorOutput: string): string =>
  errorOutput
    .split('\n')
    .map((line) =>
      line
        .replace(/^(?:\S*tar|mv|cp|cat|mkdir|sh|\S*\/sh)(?:: (?:line )?\d+)?: /, '')
        .replace(/Wrote only.*/, noSpace)
        .trim(),
    )
    .filter((line) => line !== '' && !/^(?:Exiting with|Error is not recoverable)/.test(line))
    .slice(0, 3)
    .join('; ') || 'unknown error'

/** Whether an archive is complete. GNU tar exits with 1 if a file changed while it was being packed. */
const isWholeArchive = (status: ExitStatus, errorOutput: string): boolean =>
  'code' in status &&
  (status.code === 0 || (status.code === 1 && errorOutput.includes('file changed as we read it')))

/** Shell: creates the private directory `$stage`, which is removed when the script ends or the connection is lost. */
export const stageScript = `
export LC_ALL=C TAR_OPTIONS=--blocking-factor=128
umask 077
remove() {
  rm -rf -- "$stage" 2>/dev/null || { sleep 1; chmod -R u+rwx "$stage"; rm -rf -- "$stage"; } 2>/dev/null
}
mkdir -- "$stage" || exit
trap remove EXIT
trap 'exit 1' HUP INT TERM PIPE
`

/** Reports the sockets that tar has skipped. */
export function reportSkippedSockets(errorOutput: string, onSkipped: (what: string) => void): void {
  for (const [, path = ''] of errorOutput.matchAll(/^(?:\S*tar: )?(.*): socket ignored$/gm)) {
    onSkipped(`${path.replace(/^\.\//, '')} is a socket`)
  }
}

/**
 * Packs a path on a host, with modes, times and symbolic links: the content of `folder` (name `.`), or its entry
 * `name`. With `followLink`, the entry is a file or a link to a file. The archive fails with kind `failed` and the
 * host's error if some data could not be read.
 */
export async function packOnHost(
  { name: machine, transport, become = [] }: Host,
  folder: string,
  name: string,
  {
    signal,
    onSkipped,
    followLink = false,
  }: { signal?: AbortSignal; onSkipped?: (what: string) => void; followLink?: boolean } = {},
): Promise<Readable> {
  const words = [
    ...become,
    ...tar,
    ...(followLink ? ['-h'] : []),
    '-cf',
    '-',
    '-C',
    folder,
    '--',
    name === '.' ? '.' : `./${name}`,
  ]
  return readOutput({ transport, signal }, words, (status, said) => {
    if (onSkipped) reportSkippedSockets(said, onSkipped)
    if (isWholeArchive(status, said)) return undefined
    const what = name === '.' ? folder : `${folder.replace(/\/$/, '')}/${name}`
    return new UserError('failed', `cannot read ${what}: ${reasonOf(said)}`, { machine })
  })
}

interface Run {
  readonly transport: Transport
  readonly signal?: AbortSignal | undefined
}

/**
 * Starts a program and returns its output, which fails with the error that `judge` returns for the exit status and
 * standard error. Destroying the stream ends the program.
 */
export async function readOutput(
  { transport, signal }: Run,
  words: readonly string[],
  judge: (status: ExitStatus, errorOutput: string) => Error | undefined,
): Promise<Readable> {
  const channel = new AbortController()
  const stop = signal === undefined ? channel.signal : AbortSignal.any([signal, channel.signal])
  const running = await startProgram(transport, words, { signal: stop })
  running.stdin.on('error', () => {})
  running.stdin.end()
  const errorOutput = readBeginning(running.stderr).catch(
    ignored('copy', 'read the errors from tar', ''),
  )
  async function* output(): AsyncGenerator<Buffer, void> {
    try {
      for await (const chunk of running.stdout) yield chunk as Buffer
      const failure = judge(await running.exit, await errorOutput)
      if (failure !== undefined) throw failure
    } finally {
      channel.abort()
    }
  }
  const pieces = output()
  return new Readable({
    highWaterMark: 1 << 20,
    read() {
      pieces.next().then(
        ({ done, value }) => this.push(done === true ? null : value),
        (error: unknown) => this.destroy(error as Error),
      )
    },
    destroy(error, done) {
      channel.abort() // ends pending reads, too
      done(error)
    },
  }).on('error', () => {}) // it may fail before it is read
}

/** How long a program may take to exit after the end of its input, in milliseconds. */
const endTimeoutMs = 10_000

/** A program on a host that reads input. Disposing ends its input, and waits until it has cleaned up. */
interface InputProgram extends AsyncDisposable {
  /**
   * Sends the complete input. Resolves to the exit code; rejects when the input fails, `signal` aborts, or the connection is
   * lost.
   */
  feed(input: Readable): Promise<{ readonly code: number; readonly errorOutput: string }>
}

/** Starts a program that reads input. The program must detect truncated input itself. */
export async function openInput(
  transport: Transport,
  words: readonly string[],
  signal?: AbortSignal,
): Promise<InputProgram> {
  const starting = new AbortController()
  const stop = () => starting.abort(signal?.reason)
  signal?.addEventListener('abort', stop, { once: true })
  const running = await startProgram(transport, words, { signal: starting.signal }).finally(() =>
    signal?.removeEventListener('abort', stop),
  )
  running.stdout.resume()
  running.stdin.on('error', () => {}) // the program may exit before it has read everything
  const errorOutput = readBeginning(running.stderr).catch(
    ignored('copy', 'read the errors from tar', ''),
  )

  async function end(): Promise<void> {
    const timer = setTimeout(() => starting.abort(), endTimeoutMs)
    running.stdin.end()
    await running.exit.catch(ignored('copy', "read tar's exit code"))
    clearTimeout(timer)
  }

  async function feed(input: Readable) {
    const over = new AbortController()
    const failing = new Promise<never>((_, reject) => {
      const cut = () => reject(signal?.reason as Error)
      input.once('error', reject)
      signal?.addEventListener('abort', cut, { once: true, signal: over.signal })
      if (signal?.aborted === true) cut()
    })
    failing.catch(() => {})
    try {
      input.pipe(running.stdin)
      const code = exitCodeOf(await Promise.race([running.exit, failing]))
      if (code === 0) {
        // Wait for the end of the input, which proves that the input was complete. The program may not have read that
        // far.
        input.unpipe().resume()
        await finished(input)
      }
      return { code, errorOutput: await errorOutput }
    } finally {
      over.abort()
      input.destroy() // stops the producer, even if the connection was lost
    }
  }

  return { feed, [Symbol.asyncDispose]: end }
}
