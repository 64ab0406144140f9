import { lstat, mkdtemp, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { formatWords, operandsOf, replaceOperand } from '../../engine/docker/command-line.ts'
import type { ReadCommand } from '../../engine/docker/verbs.ts'
import { UserError, fileTroubleOf } from '../../errors.ts'
import { run } from '../../transport/run.ts'
import { openHostFolder } from '../host-folder.ts'
import { packOnHost, unpackOnHost } from '../host-tree.ts'
import { packTree, pathsBelow, unpackTree } from '../local-tree.ts'
import type { Streams } from '../streams.ts'
import { type HostDocker, runHostDocker } from './host-docker.ts'

/** Whether an operand of `docker cp` is a path here: the rule of docker's own client. */
const isLocal = (operand: string): boolean =>
  isAbsolute(operand) || !operand.includes(':') || operand.startsWith('.')

/** What stands after the last name: `/.` and `/` have a meaning of their own to docker. */
const endingOf = (path: string): '/.' | '/' | '' =>
  /(?:^|[/\\])\.$/.test(path) ? '/.' : /[/\\]$/.test(path) ? '/' : ''

/** Runs docker's own `cp` between a container and a folder of the host; its paths are not the person's. */
async function copyThere(
  { transport, docker }: HostDocker,
  args: readonly string[],
  { stderr }: Streams,
  hide: { readonly path: string; readonly behind: string },
): Promise<number> {
  const { code, stderr: said } = await run(transport, [...docker, ...args])
  if (code !== 0) stderr.write(said.replaceAll(hide.path, hide.behind))
  return code
}

async function copyIn(host: HostDocker, command: ReadCommand, streams: Streams): Promise<number> {
  const { start, words } = command
  const source = operandsOf(words)[0] ?? ''
  const typed = resolve(streams.cwd, source)
  const follow = endingOf(source) !== '' || words.some(isFollowLink)
  const path = await (follow ? realpath(typed) : lstat(typed).then(() => typed)).catch(
    (error: unknown) => {
      throw new UserError('failed', `cannot read ${source}: ${fileTroubleOf(error)}`, {
        cause: error,
      })
    },
  )
  const name = basename(typed) || 'root'
  const archive = packTree(dirname(path), {
    paths: pathsBelow(dirname(path), basename(path)),
    rename: (sent) => `${name}${sent.slice(basename(path).length)}`,
  })
  await using stage = await openHostFolder(host, 'disk')
  await unpackOnHost(host, archive, stage.path, { keepOwners: true })
  const staged = `${stage.path}/${name}${endingOf(source)}`
  const args = [...start, ...formatWords(replaceOperand(words, 0, staged))]
  return await copyThere(host, args, streams, { path: `${stage.path}/${name}`, behind: typed })
}

const isFollowLink = (word: ReadCommand['words'][number]): boolean =>
  word.kind === 'flag' && word.name === '--follow-link' && word.value !== 'false'

/** Lets docker copy into a folder of the host that looks like the target here, then brings that here. */
async function copyOut(host: HostDocker, command: ReadCommand, streams: Streams): Promise<number> {
  const { start, words } = command
  const target = operandsOf(words)[1] ?? ''
  const path = resolve(streams.cwd, target)
  const found = await stat(path).catch(() => undefined)
  const intoFolder = found?.isDirectory() === true
  const parent = intoFolder ? path : dirname(path)
  const name = intoFolder ? '' : basename(path)
  if (!intoFolder && endingOf(target) !== '') throw noFolder(target)
  if ((await stat(parent).catch(() => undefined))?.isDirectory() !== true) throw noFolder(parent)
  const { transport, become = [] } = host
  await using stage = await openHostFolder(host, 'disk')
  const staged = `${stage.path}/${name}`
  if (found !== undefined && !intoFolder) await run(transport, [...become, 'touch', '--', staged])
  const args = [...start, ...formatWords(replaceOperand(words, 1, staged))]
  const code = await copyThere(host, args, streams, { path: staged, behind: path })
  if (code !== 0) return code
  const archive = packOnHost(host, stage.path, intoFolder ? '.' : name)
  await (intoFolder ? unpackTree(archive, path) : unpackBeside(archive, parent, name))
  return code
}

const noFolder = (path: string): UserError => new UserError('failed', `there is no folder ${path}`)

/** Unpacks one file or folder into `parent`, where it appears when it is whole. */
async function unpackBeside(
  archive: Parameters<typeof unpackTree>[0],
  parent: string,
  name: string,
): Promise<void> {
  const partial = await mkdtemp(join(parent, '.fleet-'))
  try {
    await unpackTree(archive, partial)
    await rename(join(partial, name), join(parent, name))
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

/** `docker cp`: the side that is here goes through a folder on the host, so that docker's own rules hold. */
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
