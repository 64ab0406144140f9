import { composePackages } from '../../../docker/compose-packages.ts'
import { UserError } from '../../../errors.ts'
import { run } from '../../../transport/run.ts'
import { parseModel } from '../../compose/project-model.ts'
import type { Context } from '../../context.ts'
import { askHostDocker } from '../../docker/on-host/host-docker.ts'
import type { Engine } from '../../../engine/engine.ts'
import { digestModel } from '../deploy-machine.ts'
import { hashesFor } from '../hash-services.ts'
import { type LockOwner, lockStack } from '../host-store/lock.ts'
import { addRelease, finishRelease, readReleases } from '../host-store/releases.ts'
import { parseStoredModel } from '../host-store/stored-model.ts'
import { type StackContainer, listStackContainers } from '../observe-stack.ts'
import { holdImages, keepImages } from '../release-images.ts'
import type { DeployCalls } from '../run-release.ts'
import { type StackModel, deployedModel } from '../stack-model.ts'
import type { StackHost } from '../host-store/store-folder.ts'

/** A Compose project that another tool has started, on one machine. */
export interface StackAdoption {
  readonly stack: string
  readonly host: StackHost
  /** The stack's directory on the host. */
  readonly folder: string
  readonly engine: Engine
  readonly owner: LockOwner
}

/** The result of adopting a Compose project. */
export interface AdoptedStack {
  readonly machine: string
  readonly stack: string
  readonly release: number
  readonly services: readonly string[]
  /** Services whose containers differ from the Compose file on the host. */
  readonly differing: readonly string[]
  /** The project's files and directories on the host that its containers mount. */
  readonly mounts: readonly string[]
}

const label = (name: string): string => `com.docker.compose.project.${name}`

/** The files from which Compose read a project, according to the labels of its containers. */
interface ProjectOrigin {
  readonly folder: string
  readonly files: readonly string[]
  readonly envFiles: readonly string[]
}

function originOf(
  containers: readonly StackContainer[],
  { stack, host: { name: machine } }: StackAdoption,
): ProjectOrigin {
  const values = (name: string): readonly string[] => [
    ...new Set(containers.flatMap(({ labels }) => labels[label(name)] ?? [])),
  ]
  const [folders, files] = [values('working_dir'), values('config_files')]
  const [folder, fileList] = [folders[0], files[0]]
  if (folder === undefined || fileList === undefined || folders.length + files.length > 2) {
    const why =
      folder === undefined || fileList === undefined
        ? 'its container labels do not name Compose files'
        : `its containers come from different Compose files: ${files.join('; ')}`
    throw new UserError('unsupported', `stack ${stack} cannot be adopted: ${why}`, {
      machine,
      hint: 'start the stack again with docker compose up; or, to deploy it without adopting it: fleet deploy',
    })
  }
  const envFiles = values('environment_file')[0]?.split(',') ?? []
  return { folder, files: fileList.split(','), envFiles: envFiles.filter(Boolean) }
}

/**
 * Reads the model of a project with Compose on the host, from the files there. Throws kind `failed` if that is not
 * possible.
 */
async function readProject(
  context: Context,
  adoption: StackAdoption,
  { folder, files, envFiles }: ProjectOrigin,
): Promise<StackModel> {
  const { stack, host } = adoption
  const { name: machine, transport, become = [] } = host
  const words = [
    ...become,
    'sh',
    '-c',
    'for file do [ -r "$file" ] || printf "%s\\n" "$file"; done',
  ]
  const { stdout } = await run(transport, [...words, 'fleet', ...files], {
    signal: context.signal,
  })
  const [missing] = stdout.split('\n')
  const args = [
    ...['compose', `--project-name=${stack}`, `--project-directory=${folder}`],
    ...files.map((file) => `--file=${file}`),
    ...envFiles.map((file) => `--env-file=${file}`),
    ...['config', '--format', 'json'],
  ]
  const answer = missing
    ? { code: 1, stdout: '', stderr: `${missing} does not exist on the host` }
    : await askHostDocker(host, { args: () => args }, context)
  const model = answer.code === 0 ? parseModel(answer.stdout) : undefined
  if (model?.services !== undefined) return model as StackModel
  throw new UserError(
    'failed',
    `Compose on ${machine} cannot read the project for stack ${stack}: ${answer.stderr.trim() || `exit code ${answer.code}`}`,
    {
      machine,
      hint: 'only projects with Compose files on the host can be adopted; to deploy the stack without adopting it: fleet deploy',
    },
  )
}

/**
 * Throws kind `unsupported` for a model with values that are only in the environment of the user who started the
 * project.
 */
function checkVariables(model: StackModel, { stack, host }: StackAdoption): void {
  const definitions = { ...model.configs, ...model.secrets } as Readonly<
    Record<string, { readonly environment?: string }>
  >
  const found = Object.entries(definitions).find(([, one]) => one.environment !== undefined)
  if (found === undefined) return
  const [name, { environment }] = found
  throw new UserError(
    'unsupported',
    `stack ${stack} cannot be adopted: ${name} gets its value from the variable ${environment}, which is not stored on the host`,
    { machine: host.name, hint: 'to deploy the stack without adopting it: fleet deploy' },
  )
}

/** Returns the services whose containers are missing or have a different configuration from the model's. */
async function findDiffering(
  context: Context,
  { host }: StackAdoption,
  model: StackModel,
  containers: readonly StackContainer[],
): Promise<readonly string[]> {
  const hash = hashesFor(
    (asked, words) =>
      askHostDocker(
        host,
        {
          args: (place) => [
            ...['compose', `--project-name=${asked.name}`, `--project-directory=${place}`],
            ...[`--file=${place}/compose.json`, `--env-file=${place}/empty`, ...words],
          ],
          files: { 'compose.json': JSON.stringify(asked), empty: '' },
        },
        context,
      ),
    model,
  )
  const hashes = await hash(containers)
  const others = containers.filter(({ service, hash: own }) => hashes.get(service) !== own)
  const absent = Object.keys(model.services).filter(
    (name) => !containers.some(({ service }) => service === name),
  )
  return [...new Set([...others.map(({ service }) => service), ...absent])].toSorted()
}

/** Returns the paths in the project directory that containers mount. */
const mountsBelow = ({ services }: StackModel, folder: string): readonly string[] => {
  const sources = Object.values(services).flatMap(({ volumes = [] }) =>
    volumes.flatMap(({ type, source = '' }) => (type === 'bind' ? [source] : [])),
  )
  const isBelow = (path: string): boolean => path === folder || path.startsWith(`${folder}/`)
  return [...new Set(sources.filter(isBelow))].toSorted()
}

/** Records the project as release 1. Does not change any containers. */
async function adoptLocked(
  context: Context,
  adoption: StackAdoption,
  { progress, signal }: DeployCalls,
): Promise<AdoptedStack> {
  const { stack, host, folder, engine, owner } = adoption
  const { name: machine, compose } = host
  const releases = await readReleases(host, folder)
  if (releases.all.length > 0) {
    throw new UserError('usage', `stack ${stack} has already been deployed or adopted by fleet`, {
      machine,
      hint: `to show the stack's state: fleet stack ls --on ${machine}`,
    })
  }
  if (compose === undefined) {
    throw new UserError('unsupported', 'Docker on the host does not have the Compose plugin', {
      machine,
      hint: `on the host, install ${composePackages}, because Compose must read the project there`,
    })
  }
  progress('read the project')
  const containers = await listStackContainers(engine, stack, signal)
  const origin = originOf(containers, adoption)
  const written = await readProject(context, adoption, origin)
  checkVariables(written, adoption)
  const differing = await findDiffering(context, adoption, written, containers)
  // parsed like a model that a host has stored, in order to refuse a project now if it could not be restored later
  const source = `the project for stack ${stack} on ${machine}`
  const model = parseStoredModel(JSON.stringify(deployedModel(written, new Map())), source)
  const images = Object.fromEntries(
    containers.flatMap(({ service, image }) => (image === undefined ? [] : [[service, image]])),
  ) as Readonly<Record<string, string>>
  const release = {
    ...({ number: 1, state: 'deploying', by: owner.by, at: owner.at } as const),
    ...{ compose, digest: digestModel(model), images },
  }
  progress('record release 1')
  await addRelease(host, folder, release, { model, files: '', environment: {} })
  await keepImages(engine, stack, release)
  await holdImages(engine, stack, [release])
  await finishRelease(host, folder, { ...release, state: 'ready' })
  return {
    ...{ machine, stack, release: 1, services: Object.keys(model.services), differing },
    mounts: mountsBelow(written, origin.folder),
  }
}

/**
 * Records a Compose project that was started without fleet as the first release of a stack, so that a failed deployment
 * restores it. Its Compose files must be on the host. Throws kind `usage` if fleet has already deployed or adopted the
 * stack there, and `unsupported` or `failed` if the project cannot be recorded.
 */
export async function adoptStack(
  context: Context,
  adoption: StackAdoption,
  calls: DeployCalls,
): Promise<AdoptedStack> {
  const { stack, host, folder, owner } = adoption
  const { signal } = calls
  calls.progress('lock the stack')
  await using lock = await lockStack(host, { stack, folder, owner, signal })
  const locked = { ...calls, signal: lock.signal }
  return await adoptLocked(context.with({ signal: lock.signal }), adoption, locked)
}
