import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import {
  type Word,
  formatWords,
  operandsOf,
  replaceOperand,
  valuesOf,
  withoutFlags,
} from '../../../docker/command-line.ts'
import { imagesOf } from '../../../docker/dockerfile.ts'
import type { ReadCommand } from '../../../docker/verbs.ts'
import { UserError, fileProblemOf } from '../../../errors.ts'
import { run } from '../../../transport/run.ts'
import { type HostFolder, openHostFolder } from '../../copy/remote-temp-dir.ts'
import { unpackOnHost } from '../../copy/unpack-on-host.ts'
import type { Streams } from '../../../os/streams.ts'
import { openBuildContext, packContext } from './build-context.ts'
import {
  type HostDocker,
  type Output,
  fileOutput,
  needsLocalDocker,
  pickVariables,
  runHostDocker,
  variablesOfHost,
} from './host-docker.ts'

/** Environment variables that change how docker builds. */
const buildVariables = ['DOCKER_BUILDKIT', 'BUILDKIT_PROGRESS', 'DOCKER_DEFAULT_PLATFORM']

/** Throws for flags with local files, directories or agents that fleet cannot forward. */
function refuseLocalFiles(words: readonly Word[], machine: string): void {
  for (const word of words) {
    if (word.kind !== 'flag') continue
    const { name, value = '' } = word
    const toFile = name === '--output' && !/^type=(?:image|registry|cacheonly)\b/.test(value)
    const cache = /^--cache-(?:from|to)$/.test(name) && value.includes('type=local')
    if (toFile || cache || name === '--ssh') throw needsLocalDocker(machine, `build ${name}`)
  }
}

/** The local files and variables that a build needs besides its context, and the files that it writes. */
interface LocalInputs {
  readonly words: readonly Word[]
  readonly files: Record<string, Buffer>
  readonly environment: Record<string, string>
  readonly outputs: Record<string, Output>
  /** Local directories, keyed by their names in the staging directory. */
  readonly folders: Record<string, string>
}

/** The parts of a value such as `id=x,src=y`. */
const partsOf = (value: string): Map<string, string> =>
  new Map(
    value.split(',').map((part) => {
      const at = part.indexOf('=')
      return at === -1 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]
    }),
  )

async function readLocalFile(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new UserError('failed', `cannot read ${file}: ${fileProblemOf(error)}`, { cause: error })
  }
}

const isDirectory = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

/**
 * Collects the local files, directories and variables to which flags refer. `at` maps names to paths on the host.
 * Values of variables are passed in docker's environment, so that they do not appear on command lines.
 */
async function collectLocalInputs(
  typed: readonly Word[],
  { env, cwd }: Streams,
  at: { file(name: string): string; folder(name: string): string },
): Promise<LocalInputs> {
  const files: Record<string, Buffer> = {}
  const environment: Record<string, string> = {}
  const outputs: Record<string, Output> = {}
  const folders: Record<string, string> = {}
  const words: Word[] = []
  for (const [index, word] of typed.entries()) {
    if (word.kind !== 'flag' || word.value === undefined) {
      words.push(word)
      continue
    }
    const { name, value } = word
    const given = (instead: string): unknown => words.push({ ...word, value: instead })
    if (name === '--build-arg' && !value.includes('=')) {
      const known = env[value]
      if (known === undefined) continue
      if (variablesOfHost.has(value)) given(`${value}=${known}`)
      else {
        environment[value] = known
        words.push(word)
      }
    } else if (name === '--iidfile' || name === '--metadata-file') {
      const file = resolve(cwd, value)
      if (!(await isDirectory(dirname(file)))) {
        throw new UserError('failed', `the directory ${dirname(file)} does not exist`)
      }
      outputs[`out-${index}`] = fileOutput(file)
      given(at.file(`out-${index}`))
    } else if (name === '--secret') {
      const parts = partsOf(value)
      const variable =
        parts.get('env') ?? (parts.get('type') === 'env' ? parts.get('id') : undefined)
      const source = parts.get('src') ?? parts.get('source')
      const id = parts.get('id') ?? ''
      const implied = source === undefined && variable === undefined
      const secret =
        variable !== undefined || (implied && env[id] !== undefined)
          ? env[variable ?? id]
          : undefined
      if (secret !== undefined) files[`secret-${index}`] = Buffer.from(secret)
      else if (variable === undefined) {
        files[`secret-${index}`] = await readLocalFile(resolve(cwd, source ?? id))
      }
      if (files[`secret-${index}`] === undefined) words.push(word)
      else given(`id=${id},src=${at.file(`secret-${index}`)}`)
    } else if (name === '--build-context') {
      const equals = value.indexOf('=')
      const folder = resolve(cwd, value.slice(equals + 1))
      if (await isDirectory(folder)) {
        folders[`context-${index}`] = folder
        given(`${value.slice(0, equals)}=${at.folder(`context-${index}`)}`)
      } else words.push(word)
    } else words.push(word)
  }
  return { words, files, environment, outputs, folders }
}

/** The values of `--build-arg`, some of which come from the environment. */
const argumentsOf = (words: readonly Word[], environment: Record<string, string>) =>
  new Map(
    valuesOf(words, '--build-arg').map((pair) => {
      const end = pair.indexOf('=')
      return end === -1
        ? ([pair, environment[pair] ?? ''] as const)
        : ([pair.slice(0, end), pair.slice(end + 1)] as const)
    }),
  )

/**
 * A placeholder in the arguments for the private directory, which does not exist yet. Arguments cannot contain a NUL.
 */
const folderMark = '\0'

/**
 * `docker build` on a host: the build contexts are copied to a temporary directory on the host, where docker reads
 * them.
 */
export async function buildOnHost(
  host: HostDocker,
  { start, words: typed }: ReadCommand,
  streams: Streams,
): Promise<number> {
  refuseLocalFiles(typed, host.name)
  const operands = operandsOf(typed)
  const folder = resolve(streams.cwd, operands[0] ?? '')
  const isLocal = operands.length === 1 && operands[0] !== '-' && (await isDirectory(folder))
  await using stage = await openHostFolder(host, { where: 'disk', signal: streams.signal })
  const carried = await collectLocalInputs(typed, streams, {
    file: (name) => `${folderMark}/${name}`,
    folder: (name) => `${stage.path}/${name}`,
  })
  const { files, environment, outputs, folders } = carried
  const images = valuesOf(typed, '--push').length > 0 ? valuesOf(typed, '--tag') : []
  let words = carried.words
  for (const [name, from] of Object.entries(folders)) {
    await unpackToStage(host, packContext(from, undefined), stage, name)
  }
  if (isLocal) {
    const file = valuesOf(typed, '--file').at(-1)
    const context = await openBuildContext(
      folder,
      file === undefined
        ? undefined
        : file === '-'
          ? { content: await buffer(streams.stdin) }
          : { path: resolve(streams.cwd, file) },
    )
    const { archive, dockerfile, instructions, rules } = context
    await unpackToStage(host, archive, stage, 'context')
    if (dockerfile === undefined) {
      files['Dockerfile'] = instructions
      if (rules !== undefined) files['Dockerfile.dockerignore'] = Buffer.from(rules)
    }
    images.push(...imagesOf(instructions.toString('utf8'), argumentsOf(typed, environment)))
    const value =
      dockerfile === undefined ? `${folderMark}/Dockerfile` : `${stage.path}/context/${dockerfile}`
    words = [
      { kind: 'flag', name: '--file', value },
      ...replaceOperand(withoutFlags(words, ['--file']), 0, `${stage.path}/context`),
    ]
  }
  return await runHostDocker(
    host,
    {
      args: (at) => [
        ...start,
        ...formatWords(words).map((word) => word.replaceAll(folderMark, at)),
      ],
      variables: pickVariables(buildVariables, streams.env),
      files,
      environment,
      ...(Object.keys(outputs).length > 0 && { outputs }),
      images,
      within: stage,
    },
    streams,
  )
}

/** Unpacks an archive into a new directory in the staging directory. */
async function unpackToStage(
  host: HostDocker,
  archive: Readable,
  stage: HostFolder,
  name: string,
): Promise<void> {
  const { transport, become = [] } = host
  const folder = `${stage.path}/${name}`
  await run(transport, [...become, 'mkdir', '--', folder])
  await unpackOnHost(host, archive, folder, { within: stage })
}
