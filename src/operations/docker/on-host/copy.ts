import { randomUUID } from 'node:crypto'
import { lstat, realpath } from 'node:fs/promises'
import { basename, dirname, isAbsolute, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { formatWords, operandsOf, replaceOperand } from '../../../docker/command-line.ts'
import type { ReadCommand } from '../../../docker/verbs.ts'
import { UserError, fileProblemOf } from '../../../errors.ts'
import { exitCodeOf } from '../../../transport/command.ts'
import { type Accepted, acceptEntries } from '../../copy/archive/accept-entries.ts'
import { type SkippedItems, collectSkipped } from '../../copy/archive/skipped-items.ts'
import { bytesOf, showName, toByteString } from '../../copy/archive/tar-format.ts'
import { writeTar } from '../../copy/archive/write-tar.ts'
import { chooseTarget } from '../../copy/choose-target.ts'
import { findLocal, openLocalEndpoint } from '../../copy/local-files.ts'
import { openInput, readOutput, stageScript } from '../../copy/remote-tar.ts'
import { packTree, pathsBelow } from '../../copy/local-tar.ts'
import type { Streams } from '../../../os/streams.ts'
import { type HostDocker, runHostDocker } from './host-docker.ts'

/** Whether an argument of `docker cp` is a local path, by the rules of docker's client. */
const isLocal = (operand: string): boolean =>
  isAbsolute(operand) || !operand.includes(':') || operand.startsWith('.')

/** The ending of a path: `/.` and `/` have a special meaning for docker. */
const endingOf = (path: string): '/.' | '/' | '' =>
  /(?:^|[/\\])\.$/.test(path) ? '/.' : /[/\\]$/.test(path) ? '/' : ''

const notWhole = 46

/** Unpacks an archive, runs docker to copy its content, and removes it. */
const copyInScript = `
stage=\${TMPDIR:-/tmp}/$1 mark=$1; shift
${stageScript}
tar -xpf - -C "$stage" || exit
[ -f "$stage/$mark" ] || exit ${notWhole}
cd "$stage" || exit
"$@"
`

/** Reports items that were skipped or changed. If there are any, the copy has failed. */
function reportSkipped(skipped: SkippedItems, { stderr }: Streams): number {
  const all = skipped.list()
  for (const what of all) stderr.write(`skipped or changed: ${what}\n`)
  return all.length === 0 ? 0 : 1
}

async function copyIn(host: HostDocker, command: ReadCommand, streams: Streams): Promise<number> {
  const { start, words } = command
  const source = operandsOf(words)[0] ?? ''
  const typed = resolve(streams.cwd, source)
  const follow = endingOf(source) !== '' || words.some(isFollowLink)
  const path = await (follow ? realpath(typed) : lstat(typed).then(() => typed)).catch(
    (error: unknown) => {
      throw new UserError('failed', `cannot read ${source}: ${fileProblemOf(error)}`, {
        cause: error,
      })
    },
  )
  const name = basename(typed) || 'root'
  const skipped = collectSkipped()
  const onSkipped = skipped.add
  const folder = dirname(path)
  const archive = packTree(folder, { paths: pathsBelow(folder, basename(path) || '.'), onSkipped })
  const root = basename(path) === '' ? '.' : toByteString(basename(path))
  const entries = acceptEntries(archive, { root, keepBits: true, onSkipped })
  const stage = `.fleet-${randomUUID()}`
  const sent = writeTar(entries, { root: toByteString(name), mark: stage })
  const staged = formatWords(replaceOperand(words, 0, `./${name}${endingOf(source)}`))
  const program = [...host.docker, ...start, ...staged]
  const { become = [], transport } = host
  await using copying = await openInput(
    transport,
    [...become, 'sh', '-c', copyInScript, 'fleet', stage, ...program],
    streams.signal,
  )
  const { code, errorOutput } = await copying.feed(Readable.from(sent, { objectMode: false }))
  if (code === notWhole) {
    throw new UserError('failed', `cannot copy ${source}: the transfer was incomplete`, {
      machine: host.name,
    })
  }
  streams.stderr.write(withoutStage(errorOutput, stage, name, typed))
  return code === 0 ? reportSkipped(skipped, streams) : code
}

/** The output of docker, with the user's path in place of the staging path. */
const withoutStage = (text: string, stage: string, name: string, typed: string): string =>
  text
    .split(/(?<=\s)/)
    .map((word) => {
      const at = word.indexOf(`${stage}/${name}`)
      const rest = at === -1 ? undefined : word.slice(at + stage.length + 1 + name.length)
      return rest === undefined ? word : `${typed}${rest}`
    })
    .join('')

const isFollowLink = (word: ReadCommand['words'][number]): boolean =>
  word.kind === 'flag' && word.name === '--follow-link' && word.value !== 'false'

/** The failure of a docker command, with its exit code and its error output. */
class DockerFailed extends Error {
  readonly code: number
  readonly errorOutput: string

  constructor(code: number, errorOutput: string) {
    super(`docker exited with code ${code}`)
    this.code = code
    this.errorOutput = errorOutput
  }
}

/**
 * The name of the copy of a container path in a directory; undefined if the path refers to the contents of a directory.
 */
function nameIn(operand: string): string | undefined {
  const path = operand.slice(operand.indexOf(':') + 1)
  if (endingOf(path) === '/.') return undefined
  const name = path.split('/').findLast((part) => part !== '' && part !== '.')
  return name === '..' ? undefined : name
}

/** Writes an archive from `docker cp` by the rules of docker's client. */
async function copyOut(host: HostDocker, command: ReadCommand, streams: Streams): Promise<number> {
  const { start, words } = command
  const [source = '', target = ''] = operandsOf(words)
  const args = [...start, ...formatWords(replaceOperand(words, 1, '-'))]
  const skipped = collectSkipped()
  try {
    const archive = await readOutput(
      { transport: host.transport, signal: streams.signal },
      [...host.docker, ...args],
      (status, errorOutput) => {
        const code = exitCodeOf(status)
        return code === 0 ? undefined : new DockerFailed(code, errorOutput)
      },
    )
    try {
      const name = nameIn(source)
      const root = name === undefined ? '/' : undefined
      const entries = acceptEntries(archive, { root, machine: host.name, onSkipped: skipped.add })
      await writeLocally(entries, target, name, streams)
    } finally {
      archive.destroy()
    }
  } catch (error) {
    if (!(error instanceof DockerFailed)) throw error
    streams.stderr.write(error.errorOutput)
    return error.code
  }
  return reportSkipped(skipped, streams)
}

/** Writes entries from a container to the local path `target`. */
async function writeLocally(
  entries: AsyncGenerator<Accepted>,
  target: string,
  name: string | undefined,
  { cwd, signal }: Streams,
): Promise<void> {
  const first = await entries.next()
  if (first.done === true) return // all entries were skipped
  const { type } = first.value
  const side = openLocalEndpoint(signal)
  const asFolder = type === 'directory'
  const place = { path: resolve(cwd, target) }
  const found = await side.inspectTarget(place.path, name ?? '.')
  if (endingOf(target) !== '' && found.kind !== 'folder' && !asFolder) {
    throw new UserError('failed', `the directory ${target} does not exist`)
  }
  const isContent = asFolder && name === undefined && found.kind === 'folder'
  const kept = { name: name ?? 'root', asFolder, isLink: type === 'symlink' }
  const chosen = isContent
    ? ({ ...place, how: 'merge' } as const)
    : chooseTarget(place, found, kept)
  if (kept.isLink) await refuseLinkOut(first.value, chosen.path)
  await using receiver = await side.receive(chosen)
  await receiver.take(
    (async function* all() {
      yield first.value
      yield* entries
    })(),
  )
}

/** Throws when a link from a container would point to an existing local path, which a later copy could overwrite. */
async function refuseLinkOut({ linkname }: Accepted, path: string): Promise<void> {
  const leadsTo = bytesOf(linkname).toString('utf8')
  const { kind } = await findLocal(resolve(dirname(path), leadsTo))
  if (kind === 'absent') return
  throw new UserError(
    'failed',
    `the link ${path} was not created: it would point to ${showName(linkname)} on this computer`,
    {
      hint: "to copy the link's target from the container, use --follow-link",
    },
  )
}

/**
 * `docker cp` on a host: local files are copied through a temporary directory on the host, so that docker applies its
 * own rules.
 */
export async function copyOnHost(
  host: HostDocker,
  command: ReadCommand,
  streams: Streams,
): Promise<number> {
  const [source = '-', target = '-', ...more] = operandsOf(command.words)
  const passesThrough = source === '-' || target === '-' || more.length > 0
  if (passesThrough || isLocal(source) === isLocal(target)) {
    const args = [...command.start, ...formatWords(command.words)]
    return runHostDocker(host, { args: () => args }, streams)
  }
  return isLocal(source) ? copyIn(host, command, streams) : copyOut(host, command, streams)
}
