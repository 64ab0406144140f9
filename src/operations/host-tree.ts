import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import { UserError } from '../errors.ts'
import type { ExitStatus, Transport } from '../transport/transport.ts'

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

/** What tar complained of, without its name and its last words. */
const reasonOf = (complaint: string): string =>
  complaint
    .split('\n')
    .map((line) =>
      line
        .replace(/^\S*tar: /, '')
        .replace(/Wrote only.*/, noSpace)
        .trim(),
    )
    .filter((line) => line !== '' && !/^(?:Exiting with|Error is not recoverable)/.test(line))
    .slice(0, 3)
    .join('; ') || 'tar failed'

/** GNU tar's code 1 when a file was written to while it was packed; it was sent as it was. */
const isWholeArchive = (status: ExitStatus, complaint: string): boolean =>
  'code' in status &&
  (status.code === 0 || (status.code === 1 && complaint.includes('file changed as we read it')))

async function* readArchive(
  { name: machine, transport, become = [] }: Host,
  folder: string,
  name: string,
): AsyncGenerator<Buffer, void> {
  const words = [...become, ...tar, '-cf', '-', '-C', folder, '--', `./${name}`]
  const channel = new AbortController()
  const running = await transport.exec(words, { signal: channel.signal })
  running.exit.catch(() => {}) // told by the output, or by the await below
  try {
    running.stdin.end()
    const complaint = text(running.stderr).catch(() => '')
    for await (const chunk of running.stdout) yield chunk as Buffer
    const status = await running.exit
    const said = await complaint
    if (!isWholeArchive(status, said)) {
      throw new UserError('failed', `cannot read ${folder}/${name}: ${reasonOf(said)}`, { machine })
    }
  } finally {
    channel.abort()
  }
}

/**
 * Packs the path `name` of a host's folder, with modes, times and symbolic links. The archive
 * ends only when all of it was read; else it fails, with kind `failed` in the host's words.
 */
export const packOnHost = (host: Host, folder: string, name: string): Readable =>
  Readable.from(readArchive(host, folder, name), { objectMode: false })

/**
 * Unpacks an archive into a folder of a host, keeping modes, times and links; the files are those
 * of the user there, unless owners are kept (which takes root). Rejects when the archive fails, and with kind `failed` in the host's words when the host could not write it.
 */
export async function unpackOnHost(
  { name: machine, transport, become = [] }: Host,
  archive: Readable,
  folder: string,
  { keepOwners = false } = {},
): Promise<void> {
  const channel = new AbortController()
  let failure: { error: unknown } | undefined
  archive.once('error', (error) => {
    failure = { error }
    channel.abort()
  })
  const words = [...become, ...tar, keepOwners ? '-xpf' : '-xpof', '-', '-C', folder]
  try {
    const running = await transport.exec(words, { signal: channel.signal })
    const complaint = text(running.stderr).catch(() => '')
    running.stdout.resume()
    running.stdin.on('error', () => {}) // tar may end before it has read all
    archive.pipe(running.stdin)
    const status = await running.exit
    if ('code' in status && status.code === 0) {
      // Only its end tells that the archive was whole, which tar does not wait for.
      archive.unpipe().resume()
      return await finished(archive)
    }
    throw new UserError('failed', `cannot write: ${reasonOf(await complaint)}`, { machine })
  } catch (error) {
    throw failure === undefined ? error : failure.error
  } finally {
    archive.destroy() // whoever makes it is to stop, also where the link was lost
  }
}
