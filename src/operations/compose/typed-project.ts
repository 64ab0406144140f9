import { type Word, formatWords, valuesOf } from '../../docker/command-line.ts'
import type { Streams } from '../../os/streams.ts'
import { isRemote } from './find-project.ts'
import { relativePath } from './rooted-paths.ts'

/** The copy of a Compose file from standard input, and the base directory for its relative paths. */
export interface StdinFile {
  readonly path: string
  readonly projectFolder: string
}

/** The global flags of Compose for a run below a root, in the copy of the working directory. */
export function flagsBelowRoot(
  flags: readonly Word[],
  cwd: string,
  stdin: StdinFile | undefined,
): string[] {
  const toRelative = (value: string): string => (isRemote(value) ? value : relativePath(cwd, value))
  const rooted = flags.map((word): Word => {
    if (word.kind !== 'flag' || word.value === undefined) return word
    if (word.name === '--file' && word.value === '-') return { ...word, value: stdin?.path ?? '-' }
    const isPath = /^--(?:file|env-file|project-directory)$/.test(word.name)
    return isPath ? { ...word, value: toRelative(word.value) } : word
  })
  const isPlaced = valuesOf(flags, '--project-directory').length > 0
  const place =
    stdin === undefined || isPlaced ? [] : [`--project-directory=${stdin.projectFolder}`]
  return [...place, ...formatWords(rooted)]
}

/**
 * Like {@link flagsBelowRoot}, but for environment variables that name files. `between` is the path separator on the
 * computer where Compose runs.
 */
export function variablesBelowRoot(
  env: Streams['env'],
  cwd: string,
  between: string,
): Record<string, string> {
  const { COMPOSE_FILE: files, COMPOSE_ENV_FILES: envFiles } = env
  const separator = env['COMPOSE_PATH_SEPARATOR'] || (process.platform === 'win32' ? ';' : ':')
  const list = (value: string, by: string, join: string): string =>
    value
      .split(by)
      .map((file) => (isRemote(file) || file === '-' ? file : relativePath(cwd, file)))
      .join(join)
  return {
    ...(files
      ? { COMPOSE_FILE: list(files, separator, between), COMPOSE_PATH_SEPARATOR: between }
      : {}),
    ...(envFiles ? { COMPOSE_ENV_FILES: list(envFiles, ',', ',') } : {}),
  }
}
