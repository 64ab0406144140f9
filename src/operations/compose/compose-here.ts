import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { formatWords, valuesOf } from '../../docker/command-line.ts'
import type { ReadCommand } from '../../docker/verbs.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { findEngineHost } from '../docker/on-host/host-docker.ts'
import { homeOf } from '../../os/environment.ts'
import type { Streams } from '../../os/streams.ts'
import { readCompose, readRest } from './compose-words.ts'
import { checkLocalPaths } from './check-local-paths.ts'
import { findProject } from './find-project.ts'
import { mirrorAt, shipFiles } from './host-mirror.ts'
import {
  type LocalDocker,
  type LocalSession,
  askConfig,
  createWorkDirectory,
  runModel,
} from './local-session.ts'
import { projectFolder } from './project-folder.ts'
import { findLocalPaths, mapPaths, localFileOf } from './project-model.ts'
import { noticeSkipped, readLocalFiles } from './read-local-files.ts'
import { resolveAllServices, resolveFor } from './resolve-model.ts'
import { type Root, rootedPath } from './rooted-paths.ts'
import { mapVolumes, volumesTyped } from './run-volumes.ts'

/** Copies the mounted local files to the host. Returns the root directory of the copies. */
async function shipMounts(
  context: Context,
  machine: Machine,
  { project, streams }: LocalSession,
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
  session: LocalSession,
  asTyped: () => Promise<number>,
): Promise<number> {
  const { command, project, workDirectory, streams } = session
  const { cwd } = streams
  const { root } = workDirectory
  const ask = askConfig(session)
  const resolved = await resolveFor(command, ask)
  if (!('model' in resolved)) return asTyped() // Compose reports the error
  const { folder } = project
  await checkLocalPaths(resolved.model, {
    ...{ root, folder, home: homeOf(streams.env) },
    uses: ['mount'],
  })
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
 * Runs `docker compose` with the local Docker CLI. Local files that containers mount are copied to the host first, and
 * mounted from there.
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
  if (project === undefined) return docker.run(args, streams) // Compose reports the error
  const isTyped = valuesOf(command.flags, '--file').includes('-')
  const stdin = isTyped ? await text(streams.stdin) : undefined
  await using workDirectory = await createWorkDirectory()
  if (stdin !== undefined) {
    await writeFile(join(workDirectory.folder, 'stdin.yaml'), stdin, { mode: 0o600 })
  }
  const left = stdin === undefined ? streams : { ...streams, stdin: Readable.from([]) }
  const session: LocalSession = {
    command,
    docker,
    project,
    stdin,
    workDirectory,
    streams: left,
  }
  const asTyped = (): Promise<number> =>
    docker.run(args, stdin === undefined ? streams : { ...streams, stdin: Readable.from([stdin]) })
  return await runWithMounts(context, machine, session, asTyped)
}
