import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { UserError } from '../../errors.ts'
import { exitCodeOf } from '../../transport/exit-code.ts'
import { beginningOf } from '../../transport/run.ts'
import { startProgram } from '../../transport/start-program.ts'
import type { HostFolder } from './remote-temp-dir.ts'
import type { ExitStatus, Transport } from '../../transport/transport.ts'

/** A host that commands run on. */
export interface Host {
  /** Its machine's name. */
  readonly name: string
  readonly transport: Transport
  /** The words that make a command run as another user. */
  readonly become?: readonly string[]
}

/** In one language, for its complaints are read; GNU's in steps of 64 KiB, not of 10, which halves its time. Others know no such variable. */
const tar = ['env', 'LC_ALL=C', 'TAR_OPTIONS=--blocking-factor=128', 'tar']

/** GNU tar says only that less was written than it wanted. */
const noSpace = 'No space left on device'

/** What tar or another program complained of, without its name and its last words. */
export const reasonOf = (complaint: string): string =>
  complaint
    .split('\n')
    .map((line) =>
      line
        .replace(/^(?:\S*tar|mv|cp|cat|mkdir|sh|\S*\/sh)(?:: (?:line )?\d+)?: /, '')
        .replace(/Wrote only.*/, noSpace)
        .trim(),
    )
    .filter((line) => line !== '' && !/^(?:Exiting with|Error is not recoverable)/.test(line))
    .slice(0, 3)
    .join('; ') || 'the program gave no reason'

/** GNU tar's code 1 when a file was written to while it was packed; it was sent as it was. */
const isWholeArchive = (status: ExitStatus, complaint: string): boolean =>
  'code' in status &&
  (status.code === 0 || (status.code === 1 && complaint.includes('file changed as we read it')))

/** Shell: makes the private folder `$stage`, which goes with the script: when it ends, or because the link was lost. */
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

/** Tells of the sockets that tar left out. */
export function tellIgnored(complaint: string, leaveOut: (what: string) => void): void {
  for (const [, path = ''] of complaint.matchAll(/^(?:\S*tar: )?(.*): socket ignored$/gm)) {
    leaveOut(`${path.replace(/^\.\//, '')} is a socket`)
  }
}

/**
 * Packs a path of a host, with modes, times and symbolic links: what is in the folder, or the entry `name` of it
 * (`followLink`: which is a file, or a link to one, whose content is packed). The archive
 * ends only when all of it was read; else it fails, with kind `failed` in the host's words.
 */
export async function packOnHost(
  { name: machine, transport, become = [] }: Host,
  folder: string,
  name: string,
  {
    signal,
    leaveOut,
    followLink = false,
  }: { signal?: AbortSignal; leaveOut?: (what: string) => void; followLink?: boolean } = {},
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
    if (leaveOut) tellIgnored(said, leaveOut)
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
 * Starts a program and gives its output, which ends only where `judge` finds no trouble in how the program ended and in
 * what it complained of. Leaving it ends the program.
 */
export async function readOutput(
  { transport, signal }: Run,
  words: readonly string[],
  judge: (status: ExitStatus, complaint: string) => Error | undefined,
): Promise<Readable> {
  const channel = new AbortController()
  const stop = signal === undefined ? channel.signal : AbortSignal.any([signal, channel.signal])
  const running = await startProgram(transport, words, { signal: stop })
  running.stdin.on('error', () => {})
  running.stdin.end()
  const complaint = beginningOf(running.stderr).catch(() => '')
  async function* output(): AsyncGenerator<Buffer, void> {
    try {
      for await (const chunk of running.stdout) yield chunk as Buffer
      const trouble = judge(await running.exit, await complaint)
      if (trouble !== undefined) throw trouble
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
      channel.abort() // also what waits for the host comes to its end
      done(error)
    },
  }).on('error', () => {}) // it may break before it is read
}

/** How long a program may take to end once its input has. */
const endTimeoutMs = 10_000

/** A program on a host that waits for its input. Disposing it ends its input, and waits until it has cleared up. */
interface InputProgram extends AsyncDisposable {
  /**
   * Gives it all of its input. Resolves to how it ended; rejects where the input fails, where `signal` aborts, and
   * where the link is lost.
   */
  feed(input: Readable): Promise<{ readonly code: number; readonly complaint: string }>
}

/** Starts a program that takes an input. It must take the end of an input that is not whole for a failure. */
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
  running.stdin.on('error', () => {}) // the program may end before it has read all
  const complaint = beginningOf(running.stderr).catch(() => '')

  async function end(): Promise<void> {
    const timer = setTimeout(() => starting.abort(), endTimeoutMs)
    running.stdin.end()
    await running.exit.catch(() => {})
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
        // Only its end tells that the input was whole, which a program need not wait for.
        input.unpipe().resume()
        await finished(input)
      }
      return { code, complaint: await complaint }
    } finally {
      over.abort()
      input.destroy() // whoever makes it is to stop, also where the link was lost
    }
  }

  return { feed, [Symbol.asyncDispose]: end }
}

/**
 * Unpacks an archive of this computer into a folder of a host, keeping modes, times and links; the files are those
 * of the user there (`within`: a folder that this is in), unless owners are kept (which takes root). Rejects when the archive fails, and with kind `failed` in the host's words when the host could not write it.
 */
export async function unpackOnHost(
  { name: machine, transport, become = [] }: Host,
  archive: Readable,
  folder: string,
  { keepOwners = false, within }: { keepOwners?: boolean; within?: HostFolder } = {},
): Promise<void> {
  archive.on('error', () => {}) // it may break before it is read
  const untar = [...tar, keepOwners ? '-xpf' : '-xpof', '-', '-C', folder]
  const words = [...become, ...(within?.holdFor(untar, { keep: true }) ?? untar)]
  try {
    await using program = await openInput(transport, words)
    const { code, complaint } = await program.feed(archive)
    if (code !== 0) {
      throw new UserError('failed', `cannot write: ${reasonOf(complaint)}`, { machine })
    }
  } finally {
    archive.destroy()
  }
}
