import { access, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  type Word,
  formatWords,
  operandsOf,
  valuesOf,
  withoutFlags,
} from '../../../docker/command-line.ts'
import type { ReadCommand } from '../../../docker/verbs.ts'
import { UserError, fileProblemOf } from '../../../errors.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
import type { Streams } from '../../../os/streams.ts'
import { type HostDocker, fileOutput, pickVariables, runHostDocker } from './host-docker.ts'

async function readLocalFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UserError('failed', `cannot read ${file}: ${fileProblemOf(error)}`, { cause: error })
  }
}

/**
 * Completes lines that consist of only a variable's name with its value from the local environment. Lines for variables
 * that are not set are removed.
 */
const fillLines = (content: string, env: Streams['env']): string =>
  content
    .split(/\r?\n/)
    .flatMap((line) => {
      if (line.includes('=') || /^\s*(?:#|$)/.test(line)) return [line]
      const value = env[line.trim()]
      return value === undefined ? [] : [`${line.trim()}=${value}`]
    })
    .join('\n')

/** Whether a value has several lines, which environment files do not support. */
const isLong = (value: string): boolean => /[\r\n]/.test(value)

/** The local files and variables of a command. */
interface LocalInputs {
  readonly files: Readonly<Record<string, string>>
  readonly environment: Readonly<Record<string, string>>
  /** Returns the flags that pass the files to docker. */
  readonly flags: (folder: string) => string[]
  /** The remaining arguments. */
  readonly left: readonly Word[]
}

async function collectLocalInputs(
  words: readonly Word[],
  { env, cwd }: Streams,
): Promise<LocalInputs> {
  const files: Record<string, string> = {}
  const names: string[] = []
  const add = (flag: string, content: string): void => {
    const file = `${names.length}`
    files[file] = content
    names.push(flag)
  }
  for (const file of valuesOf(words, '--env-file')) {
    add('--env-file', fillLines(await readLocalFile(resolve(cwd, file)), env))
  }
  for (const file of valuesOf(words, '--label-file')) {
    add('--label-file', await readLocalFile(resolve(cwd, file)))
  }
  const bare = pickVariables(
    valuesOf(words, '--env').filter((value) => !value.includes('=')),
    env,
  )
  const lines = Object.entries(bare).filter(([, value]) => !isLong(value))
  if (lines.length > 0) add('--env-file', lines.map((pair) => pair.join('=')).join('\n'))
  const long = Object.fromEntries(Object.entries(bare).filter(([, value]) => isLong(value)))
  const left = withoutFlags(words, ['--env-file', '--label-file', '--cidfile']).filter(
    (word) =>
      word.kind !== 'flag' ||
      word.name !== '--env' ||
      word.value?.includes('=') !== false ||
      long[word.value] !== undefined,
  )
  return {
    files,
    environment: long,
    flags: (folder) => names.map((flag, index) => `${flag}=${folder}/${index}`),
    left,
  }
}

/** The file for the container ID (`--cidfile`). Like docker, throws if it exists. */
async function cidFile(words: readonly Word[], { cwd }: Streams): Promise<string | undefined> {
  const named = valuesOf(words, '--cidfile').at(-1)
  if (named === undefined) return undefined
  const file = resolve(cwd, named)
  if (
    await access(file).then(
      () => true,
      () => false,
    )
  ) {
    throw new UserError(
      'failed',
      `${file} already exists and may contain the ID of another container`,
      {
        hint: `remove the file first: rm ${shellQuote(file)}`,
      },
    )
  }
  return file
}

/**
 * `docker run`, `create` and `exec` on a host, with environment files, label files and variables from this computer.
 */
export async function runContainerOnHost(
  host: HostDocker,
  { verb, start, words }: ReadCommand,
  streams: Streams,
): Promise<number> {
  const cid = verb === 'run' ? await cidFile(words, streams) : undefined
  const { files, environment, flags, left } = await collectLocalInputs(words, streams)
  const rest = formatWords(left)
  const outputs = cid === undefined ? undefined : { cid: { ...fileOutput(cid), early: true } }
  return runHostDocker(
    host,
    {
      args: (folder) => [
        ...start,
        ...flags(folder),
        ...(cid === undefined ? [] : [`--cidfile=${folder}/cid`]),
        ...rest,
      ],
      files,
      environment,
      ...(outputs && { outputs }),
      images: verb === 'run' ? operandsOf(words).slice(0, 1) : [],
      variables: pickVariables(['DOCKER_DEFAULT_PLATFORM'], streams.env),
    },
    streams,
  )
}
