import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import {
  type Word,
  formatWords,
  operandsOf,
  replaceOperand,
  valuesOf,
  withoutFlags,
} from '../../engine/docker/command-line.ts'
import { imagesOf } from '../../engine/docker/dockerfile.ts'
import type { ReadCommand } from '../../engine/docker/verbs.ts'
import type { Streams } from '../streams.ts'
import { openBuildContext } from './build-context.ts'
import { type HostDocker, needsDockerHere, pickVariables, runHostDocker } from './host-docker.ts'

/** Flags that read or write files of this computer besides the context. */
const localFlags = new Set(['--iidfile', '--metadata-file', '--secret', '--ssh', '--build-context'])

/** What changes how docker builds, where it is set. */
const buildVariables = ['DOCKER_BUILDKIT', 'BUILDKIT_PROGRESS', 'DOCKER_DEFAULT_PLATFORM']

/** Throws when a flag names a file of this computer that fleet does not carry. */
function refuseLocalFiles(words: readonly Word[], machine: string): void {
  for (const word of words) {
    if (word.kind !== 'flag') continue
    const { name, value = '' } = word
    const toFile = name === '--output' && !/^type=(?:image|registry|cacheonly)\b/.test(value)
    const cache = /^--cache-(?:from|to)$/.test(name) && value.includes('type=local')
    if (toFile || cache || localFlags.has(name)) {
      throw needsDockerHere(machine, `build ${name}`)
    }
  }
}

/** Gives `--build-arg NAME` its value from the environment here, as docker would; drops it where it has none. */
const fillArguments = (words: readonly Word[], env: Streams['env']): Word[] =>
  words.flatMap((word) => {
    if (
      word.kind !== 'flag' ||
      word.name !== '--build-arg' ||
      word.value?.includes('=') !== false
    ) {
      return [word]
    }
    const value = env[word.value]
    return value === undefined ? [] : [{ ...word, value: `${word.value}=${value}` }]
  })

const argumentsOf = (words: readonly Word[]): Map<string, string> =>
  new Map(
    valuesOf(words, '--build-arg').map((pair) => {
      const end = pair.indexOf('=')
      return [pair.slice(0, end), pair.slice(end + 1)] as const
    }),
  )

/** `docker build`: the context folder goes to the host as an archive, as docker would send it. */
export async function buildOnHost(
  host: HostDocker,
  { start, words: typed }: ReadCommand,
  streams: Streams,
): Promise<number> {
  refuseLocalFiles(typed, host.name)
  const words = fillArguments(typed, streams.env)
  const variables = pickVariables(buildVariables, streams.env)
  const tags = valuesOf(words, '--push').length > 0 ? valuesOf(words, '--tag') : []
  const operands = operandsOf(words)
  const folder = resolve(streams.cwd, operands[0] ?? '')
  const isFolder = operands.length === 1 && (await isDirectory(folder))
  if (!isFolder) {
    const args = [...start, ...formatWords(words)]
    return runHostDocker(host, { args: () => args, variables, images: tags }, streams)
  }
  const file = valuesOf(words, '--file').at(-1)
  const dockerfile =
    file === undefined
      ? undefined
      : file === '-'
        ? { content: await buffer(streams.stdin) }
        : { path: resolve(streams.cwd, file) }
  const context = await openBuildContext(folder, dockerfile)
  const sent = replaceOperand(withoutFlags(words, ['--file']), 0, '-')
  const flag: Word = { kind: 'flag', name: '--file', value: context.dockerfile }
  const args = [...start, ...formatWords([flag, ...sent])]
  const images = [...imagesOf(context.instructions, argumentsOf(words)), ...tags]
  return runHostDocker(
    host,
    { args: () => args, variables, images },
    { ...streams, stdin: context.archive },
  )
}

const isDirectory = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
