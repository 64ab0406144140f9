import { createHash } from 'node:crypto'
import { UserError, messageOf } from '../../errors.ts'
import type { Stack } from '../../machine/stacks.ts'
import { ignored } from '../../os/trace.ts'
import type { CommandResult } from '../../transport/run.ts'
import { formatRecord, shipFiles } from '../compose/host-mirror.ts'
import { plainText } from '../compose/project-model.ts'
import { type ServiceChange, compareServices } from './compare-services.ts'
import { hashesFor } from './hash-services.ts'
import { type LockOwner, lockStack } from './host-store/lock.ts'
import { pruneObjects, saveObjects } from './host-store/objects.ts'
import {
  type Release,
  type ReleaseContent,
  addRelease,
  finishRelease,
  nextNumber,
  readReleaseContent,
  readReleases,
  removeReleases,
} from './host-store/releases.ts'
import { outdatedReleases } from './restorable-releases.ts'
import { findStackImages, listStack } from './observe-stack.ts'
import {
  dropBuilds,
  dropImages,
  holdImages,
  imagesByService,
  keepImages,
} from './release-images.ts'
import type { ResolvedStack } from './resolve-stack.ts'
import {
  type DeployCalls,
  type DeployTarget,
  describeFailed,
  putBack,
  reasonOf,
  runUp,
} from './run-release.ts'
import type { StackModel } from './stack-model.ts'
import { clearUnfinished, markUnfinished } from './unfinished-mark.ts'

/** A stack to deploy, and the user who deploys it. */
export interface Deployment {
  readonly stack: Stack
  readonly resolved: ResolvedStack
  /** The variables that configs and secrets use. */
  readonly variables: Readonly<Record<string, string>>
  readonly owner: LockOwner
  /** The git commit checked out in the inventory's directory. */
  readonly commit?: string | undefined
  /** Whether to first pull newer images for the tags in the model. */
  readonly pull?: boolean
  /** How long to wait while another user changes the stack, in milliseconds. */
  readonly waitMs?: number | undefined
}

/** The result of a deployment on one machine. */
export interface Deployed {
  readonly machine: string
  readonly stack: string
  readonly state: 'deployed' | 'unchanged'
  readonly release: number
  readonly changes: readonly ServiceChange[]
}

/** Returns the digest of a deployed model, whose labels contain the digests of its files. */
export const digestModel = (model: StackModel): string =>
  createHash('sha256').update(JSON.stringify(model)).digest('hex')

/** Compares the containers with the model. */
async function examine(
  { engine, compose, mirror }: DeployTarget,
  { resolved }: Deployment,
  signal: AbortSignal,
) {
  const model = resolved.modelFor(mirror.root)
  const ask = (asked: StackModel, words: readonly string[]): Promise<CommandResult> =>
    compose.run(asked, words, { variables: {}, signal })
  const [{ containers, isUnfinished }, images] = await Promise.all([
    listStack(engine, model.name, signal),
    findStackImages(engine, model, signal),
  ])
  const hashes = await hashesFor(ask, model)(containers)
  const { version } = compose
  const { changes } = compareServices({ model, hashes, version, images }, containers)
  return { model, changes, isUnfinished, hasContainers: containers.length > 0 }
}

/** Pulls the images that the host does not have. */
async function pullMissing(
  { engine, compose, machine }: DeployTarget,
  model: StackModel,
  { variables }: Deployment,
  { progress, signal }: DeployCalls,
): Promise<ReadonlyMap<string, string>> {
  const wanted = Object.values(model.services).map(({ image = '' }) => image)
  const before = await findStackImages(engine, model, signal)
  if (wanted.every((image) => before.has(image))) return before
  progress('pull images')
  const words = ['pull', '--quiet', '--policy=missing']
  const result = await compose.run(model, words, { variables, signal })
  const images = await findStackImages(engine, model, signal)
  const missing = wanted.find((image) => !images.has(image))
  if (missing === undefined) return images
  throw new UserError(
    'failed',
    `${machine} does not have the image ${plainText(missing)} and cannot pull it: ${reasonOf(result)}`,
    { machine },
  )
}

/** Pulls all images, whether the host has them or not. */
async function pullNewer(
  { compose, machine, mirror }: DeployTarget,
  { resolved, variables }: Deployment,
  { progress, signal }: DeployCalls,
): Promise<void> {
  progress('pull images')
  const model = resolved.modelFor(mirror.root)
  const result = await compose.run(model, ['pull', '--quiet'], { variables, signal })
  if (result.code === 0) return
  throw new UserError('failed', `${machine} cannot pull images: ${reasonOf(result)}`, { machine })
}

/** Removes releases that are no longer kept, along with the names of their images and the contents of their files. */
async function prune(target: DeployTarget, stack: string): Promise<void> {
  const { mirror, engine } = target
  const { host, folder } = mirror
  const releases = await readReleases(host, folder)
  const outdated = outdatedReleases(releases)
  const kept = releases.all.filter((release) => !outdated.includes(release))
  await holdImages(
    engine,
    stack,
    kept.filter(({ state }) => state === 'ready'),
  )
  if (outdated.length === 0) return
  for (const release of outdated) await dropImages(engine, stack, release)
  await removeReleases(host, folder, outdated)
  const contents: ReleaseContent[] = []
  for (const release of kept) {
    if (release.by === '') return // damaged, so its files are unknown
    contents.push(await readReleaseContent(host, folder, release))
  }
  await dropBuilds(
    engine,
    stack,
    contents.map(({ model }) => model),
  )
  await pruneObjects(
    mirror,
    contents.map(({ files }) => files),
  )
}

/**
 * Returns the variables that provide the content of configs and secrets in a model. The values of all other variables
 * are already in the model.
 */
function contentVariables(
  { configs = {}, secrets = {} }: StackModel,
  variables: Readonly<Record<string, string>>,
): Record<string, string> {
  const definitions = [...Object.values(configs), ...Object.values(secrets)] as readonly {
    readonly environment?: string
  }[]
  const names = definitions.flatMap(({ environment }) => environment ?? [])
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = variables[name]
      return value === undefined ? [] : [[name, value] as const]
    }),
  )
}

/** Deploys a stack whose lock is held. */
async function deployLocked(
  target: DeployTarget,
  deployment: Deployment,
  { progress, signal }: DeployCalls,
): Promise<Deployed> {
  const { machine, mirror, engine, compose } = target
  const { stack, resolved, owner, commit, pull = false } = deployment
  const { host, folder } = mirror
  if (pull) await pullNewer(target, deployment, { progress, signal })
  progress('compare containers')
  const { model, changes, ...found } = await examine(target, deployment, signal)
  const digest = digestModel(model)
  const releases = await readReleases(host, folder)
  const current = releases.all.find(({ number }) => number === releases.current)
  if (changes.length === 0 && !found.isUnfinished && current?.digest === digest) {
    return { machine, stack: stack.name, state: 'unchanged', release: current.number, changes }
  }
  const images = imagesByService(
    model,
    await pullMissing(target, model, deployment, { progress, signal }),
  )
  const release: Release = {
    ...{ number: nextNumber(releases), state: 'deploying', by: owner.by, at: owner.at },
    ...(commit !== undefined && { commit }),
    ...{ compose: compose.version, digest, images },
  }
  const fail = async (why: string, details: readonly string[]): Promise<never> => {
    const outcome = await putBack(target, stack, releases, progress)
    await finishRelease(host, folder, { ...release, state: 'failed', reason: why }).catch(
      ignored('docker', 'mark a release as failed'),
    )
    throw new UserError(
      'failed',
      [`stack ${stack.name} was not deployed: ${why}`, ...details, outcome].join('\n'),
      { machine, hint: `to see the logs: fleet stack logs ${stack.name}` },
    )
  }
  progress('copy files')
  const [anyImage] = Object.values(images)
  const shipped = await shipFiles(mirror, resolved.files, {
    async beforeChange() {
      if (found.hasContainers && anyImage !== undefined) {
        await markUnfinished(engine, stack.name, anyImage)
      }
    },
  })
  await saveObjects(mirror, shipped)
  const variables = contentVariables(model, deployment.variables)
  const content = { model, files: formatRecord(shipped), environment: variables }
  await addRelease(host, folder, release, content)
  await keepImages(engine, stack.name, release)
  progress('start containers', `wait up to ${stack.wait} s for the services to become healthy`)
  let why: string | undefined
  try {
    why = await runUp(target, stack, { model, variables }, signal)
  } catch (error) {
    return await fail(messageOf(error), [])
  }
  if (why !== undefined) return await fail(why, await describeFailed(engine, model, signal))
  await finishRelease(host, folder, { ...release, state: 'ready' })
  await clearUnfinished(engine, stack.name)
  await prune(target, stack.name).catch(ignored('docker', 'remove old releases'))
  return { machine, stack: stack.name, state: 'deployed', release: release.number, changes }
}

/**
 * Deploys a stack on one machine: copies its files, starts its containers, and waits until they are healthy. If that
 * fails, the current release is restored. The deployment can be interrupted at any point; the next one continues it.
 * Throws kind `locked` while another user changes the stack, and `failed` with the last log lines of failed containers.
 */
export async function deployMachine(
  target: DeployTarget,
  deployment: Deployment,
  { progress, signal }: DeployCalls,
): Promise<Deployed> {
  const { host, folder } = target.mirror
  const { stack, owner, waitMs } = deployment
  progress('lock the stack')
  const onWait = (reason: string): void => progress('lock the stack', reason)
  await using lock = await lockStack(host, {
    ...{ stack: stack.name, folder, owner, signal, waitMs, onWait },
  })
  return await deployLocked(target, deployment, { progress, signal: lock.signal })
}
