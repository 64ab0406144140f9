import { UserError } from '../../errors.ts'
import { type HostDocker, type HostRun, askHostDocker } from '../docker/on-host/host-docker.ts'
import type { Streams } from '../../os/streams.ts'
import type { ComposeCommand } from './compose-words.ts'
import type { ComposeProject } from './find-project.ts'
import { hideRoot } from './hide-root.ts'
import type { HostMirror } from './host-mirror.ts'
import type { LocalPaths, ProjectModel } from './project-model.ts'
import type { ComposeInputs } from './read-inputs.ts'
import type { AskConfig } from './resolve-model.ts'
import { type Root, localPath, rootBelow, rootedPath } from './rooted-paths.ts'
import { flagsBelowRoot, variablesBelowRoot } from './typed-project.ts'

/** A Compose command that runs on a host. */
export interface HostSession {
  readonly host: HostDocker
  readonly command: ComposeCommand
  readonly project: ComposeProject
  readonly inputs: ComposeInputs
  /** The Compose file read from standard input. */
  readonly stdin: string | undefined
  /** The copy of the project's files on the host; undefined if no files are kept there. */
  readonly mirror: HostMirror | undefined
  readonly streams: Streams
}

/** The root directory of the copied files; `folder` is the temporary directory of one run. */
const rootOf = ({ mirror }: HostSession, folder: string): Root => mirror?.root ?? rootBelow(folder)

/** A run of Compose on a host. */
export interface ComposeRun {
  /** The subcommand and its arguments. */
  readonly words: readonly string[]
  /** A model to use instead of the Compose files. */
  readonly model?: ProjectModel | undefined
  readonly allProfiles?: boolean
  readonly images?: readonly string[]
}

/** Prepares a run of Compose on the host, in the copy of the local working directory. */
export function prepare(
  session: HostSession,
  { words, model, allProfiles = false, images = [] }: ComposeRun,
): HostRun {
  const { command, inputs, project, stdin, mirror, streams } = session
  const { cwd } = streams
  const files: Record<string, string | Buffer> = {}
  if (stdin !== undefined) files['stdin.yaml'] = stdin
  if (model !== undefined) files['compose.json'] = JSON.stringify(model)
  if (mirror === undefined) {
    const root = rootBelow('.').slice('./'.length)
    for (const [file, content] of inputs.files) files[rootedPath(root, file)] = content
  }
  const ownFlags = command.flags.filter(
    (word) =>
      word.kind !== 'flag' ||
      (!(allProfiles && word.name === '--profile') &&
        !(
          model !== undefined &&
          ['--file', '--project-name', '--project-directory'].includes(word.name)
        )),
  )
  return {
    args: (folder) => {
      const projectAt = rootedPath(rootOf(session, folder), project.folder)
      const file =
        stdin === undefined ? undefined : { path: `${folder}/stdin.yaml`, projectFolder: projectAt }
      return [
        ...command.start,
        ...flagsBelowRoot(ownFlags, cwd, model === undefined ? file : undefined),
        ...(allProfiles ? ['--profile=*'] : []),
        ...(model === undefined
          ? []
          : [
              `--file=${folder}/compose.json`,
              `--project-directory=${projectAt}`,
              `--project-name=${model.name}`,
            ]),
        ...words,
      ]
    },
    files,
    images,
    environment: {
      ...inputs.variables(streams.env, command.rest),
      ...variablesBelowRoot(streams.env, cwd, ':'),
    },
    workingFolder: (folder) => rootedPath(rootOf(session, folder), cwd),
  }
}

/** Returns the local paths of the files below `root` that Compose reports as missing. */
function missingPaths(root: Root, output: string): string[] {
  return output
    .split(root)
    .slice(1)
    .flatMap((after) => {
      const [path = ''] = after.split(/: no such file|: not found| not found|["'\n]/)
      const local = localPath(root, `${root}${path.trimEnd()}`)
      return local === undefined ? [] : [local]
    })
}

/** The maximum number of times that Compose may report missing files. */
const maxRounds = 50

/**
 * Runs `compose config`, and sends the files that it reports as missing. Only files that are named in the project's
 * files are sent, because the host is not trusted.
 */
export const askConfig =
  (session: HostSession, ship: () => Promise<void>): AskConfig =>
  async (words, allProfiles = false) => {
    for (let round = 0; ; round += 1) {
      await ship()
      let root = ''
      const run = prepare(session, { words: ['config', ...words], allProfiles })
      const answer = await askHostDocker(
        session.host,
        {
          ...run,
          args(folder) {
            root = rootOf(session, folder)
            return run.args(folder)
          },
        },
        session.streams,
      )
      if (answer.code === 0 || round >= maxRounds) return answer
      const missing = missingPaths(root, answer.stderr)
      const added = await Promise.all(missing.map((path) => session.inputs.add(path)))
      if (!added.includes(true)) return { ...answer, stderr: hideRoot(root, answer.stderr) }
    }
  }

/**
 * Throws kind `failed` when Compose on the host asks for a local path that is not named in any of the project's files.
 */
export function refuseUnnamed({ inputs, host: { name } }: HostSession, paths: LocalPaths): void {
  const contexts = paths.contexts.map(({ folder }) => folder)
  const dockerfiles = paths.contexts.flatMap(({ dockerfile }) => dockerfile ?? [])
  const isNamed = (path: string): boolean =>
    inputs.names(path) ||
    (dockerfiles.includes(path) &&
      paths.contexts.some(
        ({ folder, dockerfile }) =>
          dockerfile === path && (path === `${folder}/Dockerfile` || inputs.names(path, [folder])),
      ))
  const all = [...paths.mounts, ...contexts, ...dockerfiles, ...paths.files]
  const unnamed = all.find((path) => !isNamed(path))
  if (unnamed === undefined) return
  throw new UserError(
    'failed',
    `Compose on ${name} requires ${unnamed}, but none of the project's Compose files contains this path`,
    {
      machine: name,
      hint: 'write the path in the Compose file without variables, or install the Docker CLI on this computer',
    },
  )
}
