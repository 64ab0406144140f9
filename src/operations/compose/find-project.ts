import { readFile, stat } from 'node:fs/promises'
import { delimiter, dirname, join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { type Word, valuesOf } from '../../docker/command-line.ts'
import { UserError, codeOf, fileProblemOf } from '../../errors.ts'
import type { Streams } from '../../os/streams.ts'

/** The default names of Compose files, in Compose's order. */
const fileNames = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml']

/** The default names of override files. */
const overrideNames = [
  'compose.override.yml',
  'compose.override.yaml',
  'docker-compose.override.yml',
  'docker-compose.override.yaml',
]

/** A local Compose project. */
export interface ComposeProject {
  /** The base directory for relative paths. */
  readonly folder: string
  /** The Compose files: paths, URLs, or `-` for standard input. */
  readonly files: readonly string[]
  /** The environment files that exist. */
  readonly envFiles: readonly string[]
}

export const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )

/** Whether a name is a remote resource that Compose downloads: a URL, a Git repository, or an image. */
export const isRemote = (name: string): boolean => name.includes('://') || name.startsWith('git@')

/** Reads a local file. Throws kind `failed` on errors. */
export async function readLocalFile(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    const why = codeOf(error) === 'ENOENT' ? 'no such file' : fileProblemOf(error)
    throw new UserError('failed', `cannot read ${file}: ${why}`, { cause: error })
  }
}

/** Reads an environment file. */
const readVariables = async (file: string): Promise<NodeJS.Dict<string>> =>
  parseEnv((await readLocalFile(file)).toString('utf8'))

async function filterFiles(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(paths.map(isFile))
  return paths.filter((_path, index) => found[index])
}

/** Finds the Compose files in `start`, or in the nearest parent directory that has any. */
async function findComposeFiles(start: string): Promise<string[]> {
  for (let folder = start; ; folder = dirname(folder)) {
    const current = folder
    const found = await filterFiles(fileNames.map((name) => join(current, name)))
    if (found.length > 0) {
      return [...found, ...(await filterFiles(overrideNames.map((name) => join(current, name))))]
    }
    if (dirname(folder) === folder) break
  }
  throw new UserError('failed', `no Compose file was found in ${start} or any parent directory`, {
    hint: 'to specify the file: fleet compose -f FILE …',
  })
}

/** Finds the project of `docker compose FLAGS` by Compose's rules. Throws kind `failed` when there is none. */
export async function findProject(
  flags: readonly Word[],
  { env, cwd }: Pick<Streams, 'env' | 'cwd'>,
): Promise<ComposeProject> {
  const chosen = valuesOf(flags, '--project-directory').at(-1)
  const base = chosen === undefined ? cwd : resolve(cwd, chosen)
  const named = valuesOf(flags, '--env-file')
  const ofShell = env['COMPOSE_ENV_FILES']?.split(',').filter(Boolean) ?? []
  const envFiles = (named.length > 0 ? named : ofShell).map((file) => resolve(cwd, file))
  const first = envFiles.length > 0 ? envFiles : await filterFiles([join(base, '.env')])
  const variables: NodeJS.Dict<string> = {}
  for (const file of first) Object.assign(variables, await readVariables(file))
  Object.assign(variables, env)
  const separator = variables['COMPOSE_PATH_SEPARATOR'] || delimiter
  const ofVariable = (variables['COMPOSE_FILE'] || undefined)?.split(separator)
  const typed = valuesOf(flags, '--file')
  const given = typed.length > 0 ? typed : ofVariable
  const files =
    given?.map((file) => (file === '-' || isRemote(file) ? file : resolve(cwd, file))) ??
    (await findComposeFiles(base))
  const [main = '-'] = files
  const folder = chosen !== undefined ? base : main === '-' || isRemote(main) ? cwd : dirname(main)
  const more = envFiles.length > 0 ? [] : await filterFiles([join(folder, '.env')])
  return { folder, files, envFiles: [...new Set([...first, ...more])] }
}
