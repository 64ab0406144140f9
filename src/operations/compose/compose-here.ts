import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, parse } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { formatWords, valuesOf, withoutFlags } from '../../docker/command-line.ts'
import type { ReadCommand } from '../../docker/verbs.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { CommandResult } from '../../transport/run.ts'
import type { Context } from '../context.ts'
import { findEngineHost } from '../docker/on-host/host-docker.ts'
import type { Streams } from '../../os/streams.ts'
import { type ComposeCommand, readCompose, readRest } from './compose-words.ts'
import { type ComposeProject, findProject } from './find-project.ts'
import { mirrorAt, shipFiles } from './host-mirror.ts'
import { projectFolder } from './project-folder.ts'
import { type ProjectModel, findLocalPaths, mapPaths, localFileOf } from './project-model.ts'
import { noticeSkipped, readLocalFiles } from './read-local-files.ts'
import { type AskConfig, resolveAllServices, resolveFor } from './resolve-model.ts'
import { type Root, rootedPath } from './rooted-paths.ts'
import { mapVolumes, volumesTyped } from './run-volumes.ts'
import { flagsBelowRoot, variablesBelowRoot } from './typed-project.ts'

/** The local docker, connected to the engine of a machine. */
export interface LocalDocker {
  run(args: readonly string[], streams: Streams): Promise<number>
  /** Runs it without input; resolves to its output. */
  ask(
    args: readonly string[],
    place: { readonly cwd: string; readonly env: Streams['env'] },
  ): Promise<CommandResult>
}

/** A local temporary folder; `root` in it is a link to `/`. */
interface Workplace extends AsyncDisposable {
  readonly folder: string
  readonly root: Root
}

async function openWorkplace(): Promise<Workplace> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-compose-'))
  const root = join(folder, 'root')
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

/** A local compose command that may need local files on the host. */
interface Session {
  readonly command: ComposeCommand
  readonly docker: LocalDocker
  readonly project: ComposeProject
  readonly stdin: string | undefined
  readonly workplace: Workplace
  readonly streams: Streams
}

/** Runs `compose config` below the root, so that relative paths can be distinguished from absolute ones. */
const askConfig =
  ({ command, docker, project, stdin, workplace, streams }: Session): AskConfig =>
  (words, allProfiles = false) => {
    const { root, folder } = workplace
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
      // PWD makes programs use this path of the folder
      { cwd: place, env: { ...env, ...variablesBelowRoot(env, cwd, separator), PWD: place } },
    )
  }

/** Runs compose with a model instead of the compose files, with the name and folder of the project. */
async function runModel(
  { command, docker, project, workplace, streams }: Session,
  model: ProjectModel,
  rest: readonly string[],
): Promise<number> {
  const file = join(workplace.folder, 'compose.json')
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

/** Copies mounted files to the host. Returns their root folder there. */
async function shipMounts(
  context: Context,
  machine: Machine,
  { project, streams }: Session,
  mounts: ReadonlySet<string>,
): Promise<Root> {
  const host = await findEngineHost(context, machine)
  const mirror = mirrorAt(host, await projectFolder(context, host, project.folder))
  const { files, skipped } = await readLocalFiles({ mounts })
  for (const path of skipped) {
    streams.stderr.write(noticeSkipped(path, machine.name))
  }
  await shipFiles(mirror, files)
  return mirror.root
}

async function runWithMounts(
  context: Context,
  machine: Machine,
  session: Session,
  asTyped: () => Promise<number>,
): Promise<number> {
  const { command, project, workplace, streams } = session
  const { cwd } = streams
  const { root } = workplace
  const ask = askConfig(session)
  const resolved = await resolveFor(command, ask)
  if (!('model' in resolved)) return asTyped() // compose reports the error
  const { folder } = project
  const { mounts } = findLocalPaths(resolved.model, { root, folder })
  const words = command.name === 'run' ? readRest(command) : []
  const all = new Set([...mounts, ...volumesTyped(words, cwd)])
  if (all.size === 0) return asTyped()
  const there = await shipMounts(context, machine, session, all)
  if (command.needs === 'mounts') return asTyped()
  const whole = await resolveAllServices(ask)
  const model = mapPaths('model' in whole ? whole.model : resolved.model, (path, use) => {
    const local = localFileOf(root, folder, path)
    if (local === undefined) return path
    return use === 'mount' ? rootedPath(there, local) : local
  })
  const rest =
    command.name === 'run'
      ? formatWords(mapVolumes(words, cwd, (path) => rootedPath(there, path)))
      : command.rest
  return runModel(session, model, rest)
}

/**
 * Runs `docker compose` with the local docker. Local files that containers mount are copied to the host first, and mounted from
 * there.
 */
export async function composeLocally(
  context: Context,
  machine: Machine,
  read: ReadCommand,
  docker: LocalDocker,
  streams: Streams,
): Promise<number> {
  const command = readCompose(read)
  const args = [...read.start, ...formatWords(read.words)]
  const startsNothing = !['mounts', 'contexts'].includes(command.needs) || command.name === 'build'
  if (machine.driver === 'local' || startsNothing) return docker.run(args, streams)
  const project = await findProject(command.flags, streams).catch((error: unknown) => {
    if (error instanceof UserError) return undefined
    throw error
  })
  if (project === undefined) return docker.run(args, streams) // compose reports the error
  const isTyped = valuesOf(command.flags, '--file').includes('-')
  const stdin = isTyped ? await text(streams.stdin) : undefined
  await using workplace = await openWorkplace()
  if (stdin !== undefined) {
    await writeFile(join(workplace.folder, 'stdin.yaml'), stdin, { mode: 0o600 })
  }
  const left = stdin === undefined ? streams : { ...streams, stdin: Readable.from([]) }
  const session: Session = { command, docker, project, stdin, workplace, streams: left }
  const asTyped = (): Promise<number> =>
    docker.run(args, stdin === undefined ? streams : { ...streams, stdin: Readable.from([stdin]) })
  return await runWithMounts(context, machine, session, asTyped)
}
