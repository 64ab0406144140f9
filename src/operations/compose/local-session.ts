import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, parse } from 'node:path'
import { formatWords, withoutFlags } from '../../docker/command-line.ts'
import type { CommandResult } from '../../transport/run.ts'
import type { Streams } from '../../os/streams.ts'
import type { ComposeCommand } from './compose-words.ts'
import type { ComposeProject } from './find-project.ts'
import type { ProjectModel } from './project-model.ts'
import type { AskConfig } from './resolve-model.ts'
import { type Root, rootBelow, rootedPath } from './rooted-paths.ts'
import { flagsBelowRoot, variablesBelowRoot } from './typed-project.ts'

/** The local Docker CLI, connected to the engine of a machine. */
export interface LocalDocker {
  run(args: readonly string[], streams: Streams): Promise<number>
  /** Runs the CLI without input; resolves to its output. */
  ask(
    args: readonly string[],
    place: { readonly cwd: string; readonly env: Streams['env'] },
  ): Promise<CommandResult>
}

/** A local temporary directory; `root` below it is a link to `/`. */
export interface WorkDirectory extends AsyncDisposable {
  readonly folder: string
  readonly root: Root
}

/** Creates a {@link WorkDirectory}. */
export async function createWorkDirectory(): Promise<WorkDirectory> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-compose-'))
  const root = rootBelow(folder)
  await mkdir(dirname(root), { recursive: true })
  if (process.platform === 'win32') {
    const drive = parse(process.cwd()).root
    await mkdir(root)
    await symlink(drive, join(root, drive.charAt(0)), 'junction')
  } else await symlink('/', root)
  return {
    folder,
    root,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

/** A local Compose command that may need local files on the host. */
export interface LocalSession {
  readonly command: ComposeCommand
  readonly docker: LocalDocker
  readonly project: ComposeProject
  readonly stdin: string | undefined
  readonly workDirectory: WorkDirectory
  readonly streams: Streams
}

/** The part of a {@link LocalSession} that is needed to resolve its project. */
export type ConfigSession = Omit<LocalSession, 'docker' | 'streams'> & {
  readonly docker: Pick<LocalDocker, 'ask'>
  readonly streams: Pick<Streams, 'cwd' | 'env'>
}

/** Runs `compose config` below the root, so that relative paths can be distinguished from absolute ones. */
export const askConfig =
  ({ command, docker, project, stdin, workDirectory, streams }: ConfigSession): AskConfig =>
  (words, allProfiles = false) => {
    const { root, folder } = workDirectory
    const { env, cwd } = streams
    const place = rootedPath(root, cwd)
    const file = {
      path: join(folder, 'stdin.yaml'),
      projectFolder: rootedPath(root, project.folder),
    }
    const flags = allProfiles ? withoutFlags(command.flags, ['--profile']) : command.flags
    const separator = process.platform === 'win32' ? ';' : ':'
    return docker.ask(
      [
        ...command.start,
        ...flagsBelowRoot(flags, cwd, stdin === undefined ? undefined : file),
        ...(allProfiles ? ['--profile=*'] : []),
        'config',
        ...words,
      ],
      // programs read the path of the working directory from PWD
      { cwd: place, env: { ...env, ...variablesBelowRoot(env, cwd, separator), PWD: place } },
    )
  }

/** Runs Compose with a model instead of the Compose files, with the name and directory of the project. */
export async function runModel(
  { command, docker, project, workDirectory, streams }: LocalSession,
  model: ProjectModel,
  rest: readonly string[],
): Promise<number> {
  const file = join(workDirectory.folder, 'compose.json')
  await writeFile(file, JSON.stringify(model), { mode: 0o600 })
  const flags = withoutFlags(command.flags, ['--file', '--project-directory', '--project-name'])
  const words = [
    ...command.start,
    ...formatWords(flags),
    `--file=${file}`,
    `--project-directory=${project.folder}`,
    `--project-name=${model.name}`,
    command.name ?? '',
    ...rest,
  ]
  return docker.run(words, streams)
}
