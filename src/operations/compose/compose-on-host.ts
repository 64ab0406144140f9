import { text } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import { formatWords, valuesOf } from '../../docker/command-line.ts'
import { imagesOf } from '../../docker/dockerfile.ts'
import type { ReadCommand } from '../../docker/verbs.ts'
import { UserError } from '../../errors.ts'
import type { Context } from '../context.ts'
import {
  type HostDocker,
  type HostRun,
  askHostDocker,
  needsLocalDocker,
  pickVariables,
  runHostDocker,
} from '../docker/on-host/host-docker.ts'
import { homeOf } from '../../os/environment.ts'
import type { Streams } from '../../os/streams.ts'
import { checkLocalPaths } from './check-local-paths.ts'
import { type ComposeCommand, readCompose, readRest } from './compose-words.ts'
import { findProject, readLocalFile } from './find-project.ts'
import { hideRootIn } from './hide-root.ts'
import { type HostMirror, mirrorAt, shipFiles } from './host-mirror.ts'
import {
  type ComposeRun,
  type HostSession,
  askConfig,
  prepare,
  refuseUnnamed,
} from './host-session.ts'
import { projectFolder } from './project-folder.ts'
import {
  type LocalPaths,
  type ProjectModel,
  findLocalPaths,
  mapPaths,
  localFileOf,
} from './project-model.ts'
import { readInputs } from './read-inputs.ts'
import { type NeededFiles, noticeSkipped, readLocalFiles } from './read-local-files.ts'
import { type AskConfig, resolveAllServices, resolveFor, resolveModel } from './resolve-model.ts'
import { localPath, rootedPath } from './rooted-paths.ts'
import { mapVolumes, volumesTyped } from './run-volumes.ts'
import { ignored } from '../../os/trace.ts'

/** The images that a model names, and the base images of those that it builds. */
async function imagesIn(model: ProjectModel, paths: LocalPaths): Promise<string[]> {
  const images = Object.values(model.services ?? {}).flatMap(({ image }) => image ?? [])
  for (const { dockerfile } of paths.contexts) {
    const content =
      dockerfile === undefined
        ? undefined
        : await readLocalFile(dockerfile).catch(ignored('docker', 'read the Dockerfile'))
    if (content !== undefined) images.push(...imagesOf(content.toString('utf8'), new Map()))
  }
  return images
}

/** Refuses commands that write or watch local files. */
function refuseLocalFiles({ name, rest }: ComposeCommand, machine: string): void {
  const words = readRest({ name, rest } as ComposeCommand)
  const has = (flag: string): boolean =>
    words.some((word) => word.kind === 'flag' && word.name === flag)
  if (name === 'cp' || name === 'watch') throw needsLocalDocker(machine, `fleet compose ${name}`)
  if (name === 'up' && has('--watch')) throw needsLocalDocker(machine, 'fleet compose up --watch')
  if ((name === 'config' || name === 'convert' || name === 'export') && has('--output')) {
    throw needsLocalDocker(machine, `fleet compose ${name} --output`)
  }
}

/** Runs Compose, and replaces paths on the host with local paths in its output. */
async function runHidingRoot(session: HostSession, run: HostRun): Promise<number> {
  const { host, mirror, streams } = session
  if (mirror === undefined || streams.stdout.isTTY === true)
    return runHostDocker(host, run, streams)
  const stdout = hideRootIn(mirror.root)
  stdout.pipe(streams.stdout, { end: false })
  const code = await runHostDocker(host, run, { ...streams, stdout })
  stdout.end()
  await finished(stdout)
  return code
}

const emptyPaths: LocalPaths = { mounts: new Set(), contexts: [], files: new Set() }

/** Runs a command that starts containers or builds images, after copying the local files to the mirror. */
async function runWithFiles(session: HostSession, mirror: HostMirror): Promise<number> {
  const { host, command, project, inputs, streams } = session
  const { root } = mirror
  const { folder } = project
  const ship = async (more: NeededFiles = {}): Promise<void> => {
    const { files, skipped } = await readLocalFiles({
      ...more,
      files: [...inputs.files.keys(), ...(more.files ?? [])],
    })
    for (const path of skipped) streams.stderr.write(noticeSkipped(path, host.name))
    await shipFiles(mirror, files)
  }
  const ask = askConfig(session, ship)
  if (command.name === 'config' || command.name === 'convert') {
    const answer = await ask(['-q'])
    if (answer.code !== 0 && answer.stderr !== '') {
      streams.stderr.write(answer.stderr)
      return answer.code
    }
    return runHidingRoot(session, prepare(session, { words: [command.name, ...command.rest] }))
  }
  const resolved = await resolveFor(command, ask)
  const { cwd } = streams
  const words = command.name === 'run' ? readRest(command) : []
  const rest =
    command.name === 'run'
      ? formatWords(mapVolumes(words, cwd, (path) => rootedPath(root, path)))
      : command.rest
  const run: ComposeRun = { words: [command.name ?? '', ...rest] }
  if (!('model' in resolved)) {
    const { code, stderr } = resolved.refusal
    if (code === 0) throw noModel(host.name)
    if (stderr === '') return runHostDocker(host, prepare(session, run), streams) // Compose reports the error
    streams.stderr.write(stderr)
    return code
  }
  const { model } = resolved
  const found = findLocalPaths(model, { root, folder })
  refuseUnnamed(session, found)
  await checkLocalPaths(model, { root, folder, home: homeOf(streams.env) })
  const paths = { ...found, mounts: new Set([...found.mounts, ...volumesTyped(words, cwd)]) }
  const contexts = command.needs === 'contexts' ? paths.contexts : emptyPaths.contexts
  await ship({ ...paths, contexts })
  const images = command.needs === 'contexts' ? await imagesIn(model, paths) : []
  const isRooted = [...mountsOf(model)].every(
    (path) => localFileOf(root, folder, path) === localPath(root, path),
  )
  const rewritten = isRooted ? undefined : await rewrite(session, mirror, ask)
  return runHostDocker(host, prepare(session, { ...run, images, model: rewritten }), streams)
}

function mountsOf(model: ProjectModel): Set<string> {
  const mounts = new Set<string>()
  mapPaths(model, (path) => {
    mounts.add(path)
    return path
  })
  return mounts
}

/** Returns the project's model with host paths in place of local ones, even for local files with absolute paths. */
async function rewrite(
  { project }: HostSession,
  { root }: HostMirror,
  ask: AskConfig,
): Promise<ProjectModel> {
  const resolved = await resolveAllServices(ask)
  if (!('model' in resolved)) throw new UserError('failed', resolved.refusal.stderr.trim())
  return mapPaths(resolved.model, (path) => {
    const local = localFileOf(root, project.folder, path)
    return local === undefined ? path : rootedPath(root, local)
  })
}

const noModel = (machine: string): UserError =>
  new UserError('failed', `cannot parse the project configuration from Compose on ${machine}`, {
    machine,
    hint: `check the Compose version: fleet -m ${machine} compose version`,
  })

/** Runs a command that needs no mounted files. None of the project's files stay on the host. */
async function runWithoutFiles(session: HostSession): Promise<number> {
  const { host, command, inputs, streams } = session
  const run: ComposeRun = { words: [command.name ?? '', ...command.rest] }
  const ask = askConfig(session, async () => {})
  if (command.needs === 'model') {
    const resolved = await resolveModel(ask)
    const images = 'model' in resolved ? await imagesIn(resolved.model, emptyPaths) : []
    return runHostDocker(host, prepare(session, { ...run, images }), streams)
  }
  if (inputs.isUncertain) await ask(['-q'])
  return runHostDocker(host, prepare(session, run), streams)
}

/** Whether the command needs only the name of a project, not a Compose file. */
const isNamed = ({ flags, needs }: ComposeCommand, { env }: Streams): boolean =>
  needs === 'project' &&
  valuesOf(flags, '--file').length === 0 &&
  (valuesOf(flags, '--project-name').at(-1) || env['COMPOSE_PROJECT_NAME'] || '') !== ''

/** Runs a command in an empty directory. */
const runWithoutProject = (
  host: HostDocker,
  { start, words }: ReadCommand,
  streams: Streams,
): Promise<number> =>
  runHostDocker(
    host,
    {
      args: () => [...start, ...formatWords(words)],
      environment: pickVariables(['COMPOSE_PROJECT_NAME'], streams.env),
      workingFolder: (folder) => `${folder}/root`,
    },
    streams,
  )

/** Throws when the Docker CLI of the host has no Compose plugin. */
async function requireCompose(host: HostDocker, streams: Streams): Promise<void> {
  const { code } = await askHostDocker(host, { args: () => ['compose', 'version'] }, streams)
  if (code !== 0)
    throw needsLocalDocker(
      host.name,
      'docker compose',
      ', because the host does not have the Compose plugin',
    )
}

/**
 * Runs `docker compose` on a host, for computers without it. The Compose files are copied to a temporary directory of
 * the host or, for `config` and for commands that need mounted files or build contexts, to the mirror of the project.
 */
export async function composeOnHost(
  context: Context,
  host: HostDocker,
  read: ReadCommand,
  streams: Streams,
): Promise<number> {
  const command = readCompose(read)
  if (command.needs === 'nothing') {
    const args = [...read.start, ...formatWords(read.words)]
    return runHostDocker(host, { args: () => args }, streams)
  }
  refuseLocalFiles(command, host.name)
  const project = await findProject(command.flags, streams).catch((error: unknown) => {
    if (isNamed(command, streams)) return undefined
    throw error
  })
  if (project === undefined) return runWithoutProject(host, read, streams)
  const stdin = valuesOf(command.flags, '--file').includes('-')
    ? await text(streams.stdin)
    : undefined
  const inputs = await readInputs(project, { ...streams, stdin, machine: host.name })
  await requireCompose(host, streams)
  const stays =
    command.name === 'config' ||
    command.name === 'convert' ||
    ['mounts', 'contexts'].includes(command.needs)
  const mirror = stays
    ? mirrorAt(host, await projectFolder(context, host, project.folder))
    : undefined
  const session: HostSession = { host, command, project, inputs, stdin, mirror, streams }
  return mirror === undefined ? runWithoutFiles(session) : runWithFiles(session, mirror)
}
