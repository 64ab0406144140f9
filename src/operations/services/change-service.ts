import {
  type ServiceSpec,
  findImageDigest,
  rollBackService,
  updateService,
} from '../../engine/swarm/services.ts'
import { listTasks } from '../../engine/swarm/tasks.ts'
import { UserError } from '../../errors.ts'
import type { Progress } from '../../os/progress.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { waitForService } from './converge.ts'
import { findService, modeOf, readServices } from './list-services.ts'
import type { OpenSwarm } from './open-swarm.ts'

/** A change to a service, with properties named after the options of `docker service update`. */
export interface ServiceChange {
  readonly image?: string | undefined
  /** Variables to set, as `NAME=VALUE`. */
  readonly envAdd?: readonly string[]
  /** Names of variables to remove. */
  readonly envRm?: readonly string[]
  readonly constraintAdd?: readonly string[]
  readonly constraintRm?: readonly string[]
  readonly replicas?: number | undefined
  /** Whether to replace all tasks, even if nothing else changes. */
  readonly force?: boolean
}

/** The result of a change. */
export interface ChangedService {
  readonly swarm: string
  readonly service: string
  /** `converged`: all tasks are running. `detached`: the command did not wait for the tasks. */
  readonly state: 'converged' | 'detached'
  /** How many tasks are running, and how many should be; absent if the state is `detached`. */
  readonly running?: number
  readonly desired?: number
}

const variableOf = (pair: string): string => pair.replace(/=.*/s, '')

/**
 * Returns a service specification with a change applied. Throws kind `usage` if the change sets the replicas of a
 * service that is not replicated.
 */
export function withChange(spec: ServiceSpec, change: ServiceChange): ServiceSpec {
  const { image, replicas, force = false } = change
  const { envAdd = [], envRm = [], constraintAdd = [], constraintRm = [] } = change
  const template = spec.TaskTemplate
  const { ContainerSpec: container = {}, Placement: placement = {} } = template
  const replaced = new Set([...envRm, ...envAdd.map(variableOf)])
  const env = [
    ...(container.Env ?? []).filter((pair) => !replaced.has(variableOf(pair))),
    ...envAdd,
  ]
  const constraints = [
    ...(placement.Constraints ?? []).filter(
      (one) => !constraintRm.includes(one) && !constraintAdd.includes(one),
    ),
    ...constraintAdd,
  ]
  if (replicas !== undefined && modeOf(spec) !== 'replicated') {
    throw new UserError(
      'usage',
      `service ${spec.Name} runs in ${modeOf(spec)} mode: only replicated services can be scaled`,
    )
  }
  return {
    ...spec,
    TaskTemplate: {
      ...template,
      ContainerSpec: {
        ...container,
        ...(image !== undefined && { Image: image }),
        ...((envAdd.length > 0 || envRm.length > 0) && { Env: env }),
      },
      ...((constraintAdd.length > 0 || constraintRm.length > 0) && {
        Placement: { ...placement, Constraints: constraints },
      }),
      ...(force && { ForceUpdate: (template.ForceUpdate ?? 0) + 1 }),
    },
    ...(replicas !== undefined && {
      Mode: { ...spec.Mode, Replicated: { ...spec.Mode?.Replicated, Replicas: replicas } },
    }),
  }
}

/** How long a registry may take to report an image's digest, in milliseconds. */
const registryMs = 10_000

/**
 * Returns an image with its current digest in the registry, so that all nodes run the same image. The image is
 * unchanged if it already has a digest, or if the manager cannot reach the registry.
 */
async function pinned(context: Context, swarm: OpenSwarm, image: string): Promise<string> {
  if (image.includes('@')) return image
  const stop = AbortSignal.any([context.signal, AbortSignal.timeout(registryMs)])
  const digest = await swarm
    .ask(({ engine }) => findImageDigest(engine, image, stop))
    .catch(ignored('engine', `find the digest of ${image}`))
  context.signal.throwIfAborted()
  return digest === undefined ? image : `${image}@${digest}`
}

/** Options for changing a service. */
export interface ChangeOptions {
  /** The time limit for the service to converge, in milliseconds; if absent, the command does not wait. */
  readonly waitMs?: number | undefined
  readonly progress: Progress
  readonly signal: AbortSignal
}

/** The default time limit for the tasks of a service, in seconds. */
export const defaultWait = 300

/** Sends a change to a service, and waits until the service has converged. */
async function changeAndWait(
  context: Context,
  swarm: OpenSwarm,
  name: string,
  expects: 'update' | 'rollback',
  { waitMs, progress, signal }: ChangeOptions,
  send: (id: string) => Promise<void>,
): Promise<ChangedService> {
  const stoppable = context.with({ signal })
  progress('read the service')
  const service = findService(await readServices(stoppable, swarm), swarm.name, name)
  const tasks = await swarm.ask(({ engine }) =>
    listTasks(engine, { services: [service.ID], signal }),
  )
  const before = new Set(tasks.map(({ ID }) => ID))
  progress(expects === 'rollback' ? 'roll back' : 'update')
  await send(service.ID)
  const result = { swarm: swarm.name, service: service.Spec.Name }
  if (waitMs === undefined) return { ...result, state: 'detached' }
  const counts = await waitForService(stoppable, swarm, service.ID, {
    ...{ expects, before, waitMs, progress, signal },
  })
  return { ...result, state: 'converged', ...counts }
}

/**
 * Changes a service. Throws kind `failed` as {@link waitForService} does, and kind `usage` as {@link withChange} does.
 */
export const changeService = (
  context: Context,
  swarm: OpenSwarm,
  name: string,
  { resolveImage, ...change }: ServiceChange & { readonly resolveImage: boolean },
  options: ChangeOptions,
): Promise<ChangedService> =>
  changeAndWait(context, swarm, name, 'update', options, async (id) => {
    const { signal } = options
    const image =
      change.image !== undefined && resolveImage
        ? await pinned(context.with({ signal }), swarm, change.image)
        : change.image
    await swarm.change(({ engine }) =>
      updateService(engine, id, (spec) => withChange(spec, { ...change, image }), signal),
    )
  })

/** Restores the state of a service before its last update. Throws as {@link changeService} does. */
export const rollBack = (
  context: Context,
  swarm: OpenSwarm,
  name: string,
  options: ChangeOptions,
): Promise<ChangedService> =>
  changeAndWait(context, swarm, name, 'rollback', options, (id) =>
    swarm.change(({ engine }) => rollBackService(engine, id, options.signal)),
  )
