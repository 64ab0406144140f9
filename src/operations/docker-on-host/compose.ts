import { readFile, stat } from 'node:fs/promises'
import { basename, delimiter, dirname, join, relative, resolve, sep } from 'node:path'
import {
  type Word,
  formatWords,
  operandsOf,
  valuesOf,
  withoutFlags,
} from '../../engine/docker/command-line.ts'
import { expandVariables } from '../../engine/docker/dockerfile.ts'
import type { ReadCommand } from '../../engine/docker/verbs.ts'
import { UserError, messageOf } from '../../errors.ts'
import { run } from '../../transport/run.ts'
import { unpackOnHost } from '../host-tree.ts'
import { packTree, pathsBelow } from '../local-tree.ts'
import type { Streams } from '../streams.ts'
import { type HostDocker, needsDockerHere, pickVariables, runHostDocker } from './host-docker.ts'

/** In the order in which compose looks for them. */
const fileNames = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml']

/** What changes how compose works, where it is set. */
const composeVariables = ['COMPOSE_PROJECT_NAME', 'COMPOSE_PROFILES', 'DOCKER_DEFAULT_PLATFORM']

/** A compose project of this computer. */
interface Project {
  readonly folder: string
  /** Its compose files; `-` is the standard input. */
  readonly files: readonly string[]
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )

/** The nearest compose file in `folder` or above it. */
async function findComposeFile(folder: string): Promise<string> {
  for (let here = folder; ; here = dirname(here)) {
    for (const name of fileNames) {
      const file = join(here, name)
      if (await isFile(file)) return file
    }
    if (dirname(here) === here) break
  }
  throw new UserError('failed', `there is no compose file in ${folder} or above it`, {
    hint: 'name it: fleet compose -f FILE …',
  })
}

async function findProject(words: readonly Word[], { env, cwd }: Streams): Promise<Project> {
  const listed = env['COMPOSE_FILE']?.split(env['COMPOSE_PATH_SEPARATOR'] || delimiter) ?? []
  const named = valuesOf(words, '--file')
  const given = (named.length > 0 ? named : listed).map((file) =>
    file === '-' ? file : resolve(cwd, file),
  )
  const folder = valuesOf(words, '--project-directory').at(-1)
  const files =
    given.length > 0
      ? given
      : [await findComposeFile(folder === undefined ? cwd : resolve(cwd, folder))]
  if (folder !== undefined) return { folder: resolve(cwd, folder), files }
  const [first = '-'] = files
  return { folder: first === '-' ? cwd : dirname(first), files }
}

/** A path of this computer as it is in the project folder on the host. */
function inProject({ folder }: Project, file: string): string {
  const path = relative(folder, file)
  if (path !== '..' && !path.startsWith(`..${sep}`)) return path.replaceAll(sep, '/')
  throw new UserError('unsupported', `${file} is outside of the project folder ${folder}`, {
    hint: 'move it there, or install a docker CLI on this computer',
  })
}

async function readFiles({ files }: Project): Promise<string> {
  const paths = files.filter((file) => file !== '-')
  try {
    return (await Promise.all(paths.map((file) => readFile(file, 'utf8')))).join('\n')
  } catch (error) {
    throw new UserError('failed', `cannot read the compose file: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** Quotes a value for an env file of compose, literally. */
const quote = (value: string): string =>
  `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

/** The variables that compose files name, `$NAME` and `${NAME}`, as an env file of compose. */
function variablesFile(content: string, env: Streams['env']): string {
  const named = [...content.matchAll(/\$\{?([A-Za-z_]\w*)/g)].map(([, name = '']) => name)
  return Object.entries(pickVariables([...new Set(named)], env))
    .map(([name, value]) => `${name}=${quote(value)}\n`)
    .join('')
}

/** The images that compose files name. */
const imagesIn = (content: string, env: Streams['env']): string[] =>
  [...content.matchAll(/^\s*["']?image["']?\s*:\s*["']?([^\s"'#]+)/gm)].map(([, image = '']) =>
    expandVariables(image, (name) => env[name]),
  )

/** Makes the folder of a project on the host and prints its path, if docker has compose there. */
const prepare = `
name=$1; shift
"$@" compose version >/dev/null 2>&1 || exit 44
folder=$HOME/.cache/fleet/compose/$name
mkdir -p -- "$folder" && printf %s "$folder"
`

async function prepareFolder(host: HostDocker, { folder }: Project): Promise<string> {
  const { transport, docker } = host
  const name = basename(folder) || 'root'
  const words = ['sh', '-c', prepare, 'fleet', name, ...docker]
  const { code, stdout, stderr } = await run(transport, words)
  if (code === 0) return stdout
  if (code === 44) throw needsDockerHere(host.name, 'compose (the host has no compose plugin)')
  throw new UserError('failed', `no project folder could be made: ${stderr.trim()}`, {
    machine: host.name,
  })
}

/** compose's own flags, with the paths they have on the host. */
function flagsThere(words: readonly Word[], project: Project, cwd: string): string[] {
  const named = valuesOf(words, '--env-file').map((file) => inProject(project, resolve(cwd, file)))
  const files = project.files.map((file) => (file === '-' ? file : inProject(project, file)))
  const kept = withoutFlags(words, ['--file', '--project-directory', '--env-file'])
  return [
    ...files.map((file) => `--file=${file}`),
    ...named.map((file) => `--env-file=${file}`),
    ...formatWords(kept.filter(({ kind }) => kind === 'flag')),
  ]
}

/** Subcommands that are about no project. */
const withoutProject = new Set(['help', 'ls', 'version'])

/**
 * `docker compose`: the project folder is brought up to date on the host, in
 * `~/.cache/fleet/compose/NAME` (its own last name), and compose runs there. Bind mounts of
 * relative paths live in that folder, so it stays, and so does what this computer does not have:
 * containers may have written it.
 */
export async function composeOnHost(
  host: HostDocker,
  command: ReadCommand,
  streams: Streams,
): Promise<number> {
  const { start, words } = command
  const [subcommand] = operandsOf(words)
  if (subcommand === 'cp') throw needsDockerHere(host.name, 'compose cp')
  if (subcommand === undefined || withoutProject.has(subcommand)) {
    const args = [...start, ...formatWords(words)]
    return runHostDocker(host, { args: () => args }, streams)
  }
  const project = await findProject(words, streams)
  const content = await readFiles(project)
  const flags = flagsThere(words, project, streams.cwd)
  const folder = await prepareFolder(host, project)
  const archive = packTree(project.folder, { paths: pathsBelow(project.folder, '.') })
  await unpackOnHost(host, archive, folder)
  const variables = variablesFile(content, streams.env)
  const ownFile = flags.some((flag) => flag.startsWith('--env-file='))
  const dotEnv = !ownFile && (await isFile(join(project.folder, '.env'))) ? ['--env-file=.env'] : []
  const args = (there: string): string[] => [
    ...start,
    ...flags,
    ...(variables === '' ? [] : [...dotEnv, `--env-file=${there}/variables`]),
    ...operandsOf(words),
  ]
  return runHostDocker(
    host,
    {
      args,
      folder,
      files: variables === '' ? {} : { variables },
      images: imagesIn(content, streams.env),
      variables: pickVariables(composeVariables, streams.env),
    },
    streams,
  )
}
