import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type Service, removeService, stackLabel } from '../../engine/swarm/services.ts'
import { listTasks } from '../../engine/swarm/tasks.ts'
import { listNetworks, removeNetwork } from '../../engine/networks.ts'
import { UserError, messageOf } from '../../errors.ts'
import { findProgram } from '../../os/find-program.ts'
import { retry } from '../../os/retry.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { findHostDocker, runHostDocker } from '../docker/on-host/host-docker.ts'
import { runDocker } from '../docker/run-docker.ts'
import { waitForService } from '../services/converge.ts'
import { readServices } from '../services/list-services.ts'
import { type OpenSwarm, openSwarm } from '../services/open-swarm.ts'
import type { StackToDeploy } from '../stacks/apply-stacks.ts'
import type { Deployed } from '../stacks/deploy-machine.ts'
import { currentOwner } from '../stacks/host-store/lock-owner.ts'
import type { DeployCalls } from '../stacks/run-release.ts'
import { compareSwarmServices } from './compare-services.ts'
import { lockSwarmStack } from './lock-swarm-stack.ts'
import { provideImages } from './node-images.ts'
import { type StackOnSwarm, swarmStackIn } from './plan-swarm-stack.ts'
import {
  createContents,
  endRelease,
  removeContents,
  removeUnused,
  writeRelease,
} from './releases.ts'
import type { SwarmFile } from './swarm-file.ts'

/**
 * Runs `docker stack deploy` against a manager: with the Docker CLI on this computer, or else on the manager, with the
 * logins to the images' registries. The file is passed on standard input, so that it is never stored on a host.
 */
async function runStackDeploy(
  context: Context,
  swarm: OpenSwarm,
  stack: string,
  file: SwarmFile,
  { resolvesImages, signal }: { readonly resolvesImages: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const output = Promise.all([text(stdout), text(stderr)])
  const words = [
    ...['stack', 'deploy', '--prune', '--with-registry-auth'],
    ...['--resolve-image', resolvesImages ? 'always' : 'never', '--compose-file', '-', stack],
  ]
  const { env } = context
  const stdin = Readable.from([JSON.stringify(file)])
  const streams = { stdin, stdout, stderr, env, cwd: '/', signal }
  const code = await swarm
    .change(async ({ machine }) => {
      if ((await findProgram('docker', env)) !== undefined) {
        return runDocker(context, machine, words, streams)
      }
      const images = Object.values(file.services).map(({ image }) => image)
      const host = await findHostDocker(context, machine)
      return runHostDocker(host, { args: () => words, images }, streams)
    })
    .finally(() => {
      stdout.end()
      stderr.end()
    })
  const [, errors] = await output
  if (code !== 0) {
    const why = errors.trim() || `docker exited with code ${code}`
    throw new UserError('failed', `stack ${stack} was not deployed: ${why}`)
  }
}

/** Waits for all services of a stack. Throws kind `failed` with the reason for each service that fails. */
async function waitForServices(
  context: Context,
  swarm: OpenSwarm,
  services: readonly Service[],
  before: ReadonlySet<string>,
  { progress, signal, waitMs }: DeployCalls & { readonly waitMs: number },
): Promise<void> {
  let ready = 0
  const waiting = services.map(async ({ ID }) => {
    const calls = { progress: () => {}, signal }
    await waitForService(context, swarm, ID, { expects: 'update', before, waitMs, ...calls })
    ready += 1
    progress('wait for services', `${ready} of ${services.length} ready`)
  })
  progress('wait for services', `0 of ${services.length} ready`)
  const results = await Promise.allSettled(waiting)
  signal.throwIfAborted()
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  )
  if (failures.length === 0) return
  const bug = failures.find((failure) => !(failure instanceof UserError))
  if (bug !== undefined) throw bug
  const [first] = failures
  throw new UserError('failed', failures.map(messageOf).join('\n'), {
    ...(first instanceof UserError && { hint: first.hint }),
  })
}

/** A file to deploy as a stack. */
interface FileToDeploy {
  readonly stack: string
  readonly file: SwarmFile
  readonly resolvesImages: boolean
  /** How long to wait for the services to converge, in seconds. */
  readonly wait: number
}

/** Deploys a file, and waits until its services have converged. */
export async function deployFile(
  context: Context,
  swarm: OpenSwarm,
  { stack, file, resolvesImages, wait }: FileToDeploy,
  calls: DeployCalls,
): Promise<void> {
  const { progress, signal } = calls
  const existing = await readServices(context, swarm, { stack })
  const tasks =
    existing.length === 0
      ? []
      : await swarm.ask(({ engine }) =>
          listTasks(engine, { services: existing.map(({ ID }) => ID), signal }),
        )
  progress('update services')
  await runStackDeploy(context, swarm, stack, file, { resolvesImages, signal })
  const services = await readServices(context, swarm, { stack })
  const names = new Set(Object.keys(file.services).map((name) => `${stack}_${name}`))
  await waitForServices(
    context,
    swarm,
    services.filter(({ Spec }) => names.has(Spec.Name)),
    new Set(tasks.map(({ ID }) => ID)),
    { ...calls, waitMs: wait * 1000 },
  )
}

/**
 * Deploys a prepared stack on its swarm. `machine`: the manager in the plan. Throws kind `failed` if a service does not
 * converge, with the error and the last log lines of its newest failed task; the `update_config` of the service decides
 * whether it is rolled back. Throws kind `locked` while another user changes the stack.
 */
export async function deploySwarmStack(
  context: Context,
  prepared: StackToDeploy,
  machine: string,
  { waitMs, ...calls }: DeployCalls & { readonly waitMs?: number | undefined },
): Promise<Deployed> {
  const { progress } = calls
  const { name, swarm } = prepared.stack as StackOnSwarm
  const owner = currentOwner(`deploy ${name}`)
  await using lock = await lockSwarmStack(context, swarm, { stack: name, owner, progress, waitMs })
  const { signal } = lock
  return await deployLocked(context.with({ signal }), prepared, machine, { progress, signal })
}

/** Deploys a stack whose lock is held. */
async function deployLocked(
  context: Context,
  prepared: StackToDeploy,
  machine: string,
  calls: DeployCalls,
): Promise<Deployed> {
  const { progress, signal } = calls
  const { name, wait, swarm: swarmName } = prepared.stack as StackOnSwarm
  const resolved = prepared.models.get(machine)
  if (resolved === undefined) throw new Error(`no model for ${machine}`)
  progress('find a manager')
  const swarm = openSwarm(context, swarmName)
  const { file, objects } = await swarmStackIn(prepared, resolved)
  const services = await readServices(context, swarm, { stack: name })
  const { changes } = compareSwarmServices(name, file, services)
  const resolvesImages = await provideImages(
    context,
    swarm,
    file,
    {
      built: new Set(resolved.builds.images.values()),
      build: (node) => prepared.images.provide(node, resolved, calls),
    },
    calls,
  )
  progress('create configs and secrets')
  const { by } = currentOwner(`deploy ${name}`)
  const { number } = await swarm.change(async ({ engine }) => {
    await createContents(engine, name, objects, signal)
    return writeRelease(engine, name, file, { by, commit: prepared.commit }, signal)
  })
  const end = (state: 'ready' | 'failed') =>
    swarm.ask(({ engine }) => endRelease(engine, name, number, state, new AbortController().signal))
  try {
    await deployFile(context, swarm, { stack: name, file, resolvesImages, wait }, calls)
  } catch (error) {
    await end('failed').catch(ignored('engine', 'record the failed release'))
    throw error
  }
  await end('ready')
  progress('remove unused configs and secrets')
  await swarm
    .change(({ engine }) => removeUnused(engine, name, signal))
    .catch(ignored('engine', 'remove unused configs and secrets'))
  return { machine, stack: name, state: 'deployed', release: number, changes }
}

const isUserError = (error: unknown): boolean => error instanceof UserError

/** How long the tasks of removed services may keep using networks, configs and secrets, in milliseconds. */
const removalMs = 60_000

/**
 * Removes the services, networks, configs, secrets and releases of a stack. Volumes on the nodes are kept. Throws kind
 * `locked` while another user changes the stack.
 */
export async function removeSwarmStack(
  shared: Context,
  swarmName: string,
  stack: string,
  { progress }: DeployCalls,
): Promise<{ readonly machine: string; readonly services: number }> {
  const owner = currentOwner(`remove ${stack}`)
  await using lock = await lockSwarmStack(shared, swarmName, { stack, owner, progress })
  const { signal } = lock
  const context = shared.with({ signal })
  const swarm = openSwarm(context, swarmName)
  const services = await readServices(context, swarm, { stack })
  progress('remove services')
  await swarm.change(async ({ engine }) => {
    for (const { ID } of services) await removeService(engine, ID, signal)
  })
  progress('remove networks, configs and secrets')
  const removeRest = (): Promise<string> =>
    swarm.ask(async ({ engine, machine }) => {
      const filters = { label: [`${stackLabel}=${stack}`] }
      for (const { Name } of await listNetworks(engine, { filters, signal })) {
        await removeNetwork(engine, Name, { signal })
      }
      await removeContents(engine, stack, signal)
      return machine.name
    })
  const pacing = { signal, pauseMs: 500, withinMs: removalMs, canRetry: isUserError }
  const machine = await retry(removeRest, pacing)
  await lock.removeFolder()
  return { machine, services: services.length }
}
