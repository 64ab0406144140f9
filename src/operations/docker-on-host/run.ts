import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  type Word,
  formatWords,
  operandsOf,
  valuesOf,
  withoutFlags,
} from '../../engine/docker/command-line.ts'
import type { ReadCommand } from '../../engine/docker/verbs.ts'
import { UserError, fileTroubleOf } from '../../errors.ts'
import type { Streams } from '../streams.ts'
import { type HostDocker, needsDockerHere, pickVariables, runHostDocker } from './host-docker.ts'

async function readHere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UserError('failed', `cannot read ${file}: ${fileTroubleOf(error)}`, { cause: error })
  }
}

/** Gives a line `NAME` its value from the environment here; such a line without a value is dropped. */
const fillLines = (content: string, env: Streams['env']): string =>
  content
    .split(/\r?\n/)
    .flatMap((line) => {
      if (line.includes('=') || /^\s*(?:#|$)/.test(line)) return [line]
      const value = env[line.trim()]
      return value === undefined ? [] : [`${line.trim()}=${value}`]
    })
    .join('\n')

/** Whether no line of an env file can hold a value. */
const isLong = (value: string): boolean => /[\r\n]/.test(value)

/** The flags that take what `words` say from files and variables of this computer, and these files. */
async function carry(
  words: readonly Word[],
  { env, cwd }: Streams,
): Promise<{ files: Record<string, string>; flags: (folder: string) => string[]; left: Word[] }> {
  const files: Record<string, string> = {}
  const names: string[] = []
  const add = (flag: string, content: string): void => {
    const file = `${names.length}`
    files[file] = content
    names.push(flag)
  }
  for (const file of valuesOf(words, '--env-file')) {
    add('--env-file', fillLines(await readHere(resolve(cwd, file)), env))
  }
  for (const file of valuesOf(words, '--label-file')) {
    add('--label-file', await readHere(resolve(cwd, file)))
  }
  const bare = pickVariables(
    valuesOf(words, '--env').filter((value) => !value.includes('=')),
    env,
  )
  const lines = Object.entries(bare).filter(([, value]) => !isLong(value))
  if (lines.length > 0) add('--env-file', lines.map((pair) => pair.join('=')).join('\n'))
  const left = withoutFlags(words, ['--env-file', '--label-file']).flatMap((word): Word[] => {
    if (word.kind !== 'flag' || word.name !== '--env' || word.value?.includes('=') !== false) {
      return [word]
    }
    const value = bare[word.value]
    return value !== undefined && isLong(value)
      ? [{ ...word, value: `${word.value}=${value}` }]
      : []
  })
  return {
    files,
    flags: (folder) => names.map((flag, index) => `${flag}=${folder}/${index}`),
    left,
  }
}

/** `docker run`, `create` and `exec`: environment and label files are those of this computer, as are variables. */
export async function runContainerOnHost(
  host: HostDocker,
  { verb, start, spelling, words }: ReadCommand,
  streams: Streams,
): Promise<number> {
  if (valuesOf(words, '--cidfile').length > 0) {
    throw needsDockerHere(host.name, `${spelling} --cidfile`)
  }
  const { files, flags, left } = await carry(words, streams)
  const rest = formatWords(left)
  return runHostDocker(
    host,
    {
      args: (folder) => [...start, ...flags(folder), ...rest],
      files,
      images: verb === 'run' ? operandsOf(words).slice(0, 1) : [],
      variables: pickVariables(['DOCKER_DEFAULT_PLATFORM'], streams.env),
    },
    streams,
  )
}
