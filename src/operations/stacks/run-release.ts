import { nothing } from '../../engine/answer.ts'
import type { Engine } from '../../engine/engine.ts'
import { streamLogs } from '../../engine/logs.ts'
import { messageOf } from '../../errors.ts'
import type { Stack } from '../../machine/stacks.ts'
import type { CommandResult } from '../../transport/run.ts'
import type { HostMirror } from '../compose/host-mirror.ts'
import type { Progress } from '../../os/progress.ts'
import { ignored } from '../../os/trace.ts'
import { restoreObjects } from './host-store/objects.ts'
import { type Release, type Releases, readReleaseContent } from './host-store/releases.ts'
import { type StackContainer, listStackContainers } from './observe-stack.ts'
import { restoreImageNames } from './release-images.ts'
import { type StackModel, isOneShot } from './stack-model.ts'
import { clearUnfinished, markUnfinished } from './unfinished-mark.ts'

/** Docker Compose, connected to the engine of one machine. */
export interface MachineCompose {
  readonly version: string
  /**
   * Runs Compose with a model as its only file, without input. Of the user's variables, Compose gets only `variables`.
   * Rejects with the abort reason when `signal` aborts.
   */
  run(
    model: StackModel,
    words: readonly string[],
    options: {
      readonly variables: Readonly<Record<string, string>>
      readonly signal: AbortSignal
      /** Images whose registry logins are needed, if they are not the model's images. */
      readonly images?: readonly string[]
    },
  ): Promise<CommandResult>
}

/** A machine on which a stack is deployed. */
export interface DeployTarget {
  readonly machine: string
  /** The stack's directory on the host. */
  readonly mirror: HostMirror
  readonly engine: Engine
  readonly compose: MachineCompose
}

/** Progress and cancellation of the work on one machine. */
export interface DeployCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
}

const upWords = ({ wait }: Pick<Stack, 'wait'>): string[] => [
  ...['up', '--detach', '--wait', `--wait-timeout=${wait}`],
  ...['--remove-orphans', '--no-build', '--pull=never'],
]

/** The number of log lines shown for a failed container. */
const shownLines = 20

async function lastLines(engine: Engine, { id, name }: StackContainer): Promise<string> {
  const lines: string[] = []
  try {
    for await (const { line } of streamLogs(engine, id, { tail: shownLines })) lines.push(line)
  } catch (error) {
    lines.push(`(cannot read the log: ${messageOf(error)})`)
  }
  return [`last log lines of ${name}:`, ...lines.map((line) => `  ${line}`)].join('\n')
}

/** Returns the last log lines of a stack's containers that are not running or not healthy. */
export async function describeFailed(
  engine: Engine,
  model: StackModel,
  signal: AbortSignal,
): Promise<string[]> {
  const containers = await listStackContainers(engine, model.name, signal)
  const failed = containers.filter(
    ({ state, health, exitCode, service }) =>
      health === 'unhealthy' ||
      health === 'starting' ||
      (state !== 'running' &&
        state !== 'created' &&
        !(exitCode === 0 && isOneShot(model, service))),
  )
  return Promise.all(failed.map((container) => lastLines(engine, container)))
}

/** Returns Compose's error message, without progress lines. */
export const reasonOf = ({ code, stderr }: CommandResult): string =>
  stderr.trim().split('\n').at(-1)?.trim() || `Compose exited with code ${code}`

/**
 * Matches the name of a container while Compose replaces another container with it: 12 digits of the other container's
 * ID, and the final name.
 */
const temporaryName = /^[0-9a-f]{12}_(.+)$/s

/** Renames containers that still have a temporary name because Compose was killed while it was replacing containers. */
async function finishNames(
  engine: Engine,
  containers: readonly StackContainer[],
  signal: AbortSignal,
): Promise<void> {
  const taken = new Set(containers.map(({ name }) => name))
  for (const { id, name: temporary } of containers) {
    const [, name] = temporaryName.exec(temporary) ?? []
    if (name === undefined || taken.has(name)) continue
    const path = `/containers/${id}/rename`
    await engine.json({ method: 'POST', path, query: { name }, signal }, nothing)
  }
}

/**
 * Unpauses containers, because Compose cannot start paused ones: "cannot start a paused container, try unpause
 * instead".
 */
async function unpause(engine: Engine, stack: string, signal: AbortSignal): Promise<void> {
  for (const { id, state } of await listStackContainers(engine, stack, signal)) {
    if (state !== 'paused') continue
    await engine.json({ method: 'POST', path: `/containers/${id}/unpause`, signal }, nothing)
  }
}

/** Returns the reason a container is considered failed after a deployment; undefined if it has not failed. */
function problemOf(
  { name, state, exitCode = 0, health }: StackContainer,
  { wait }: Pick<Stack, 'wait'>,
): string | undefined {
  if (state === 'restarting') return `container ${name} is restarting`
  if (exitCode !== 0) return `container ${name} exited with code ${exitCode}`
  if (health === 'starting') return `container ${name} did not become healthy within ${wait} s`
  return health === 'unhealthy' ? `container ${name} is unhealthy` : undefined
}

/**
 * Starts the containers of a model and waits until they are healthy. If that fails, resolves to the reason. The
 * containers are also checked here, because Compose exits with code 0 if its time limit expires between two of its
 * checks, or if containers exit and are restarted. Source: `case <-ctx.Done(): return nil` of waitDependencies in
 * pkg/compose/convergence.go.
 */
export async function runUp(
  { compose, engine }: DeployTarget,
  stack: Pick<Stack, 'wait'>,
  { model, variables }: { model: StackModel; variables: Readonly<Record<string, string>> },
  signal: AbortSignal,
): Promise<string | undefined> {
  await unpause(engine, model.name, signal)
  const result = await compose.run(model, upWords(stack), { variables, signal })
  if (result.code !== 0) return reasonOf(result)
  const containers = await listStackContainers(engine, model.name, signal)
  const [why] = containers
    .filter(({ service }) => Object.hasOwn(model.services, service))
    .flatMap((container) => problemOf(container, stack) ?? [])
  if (why !== undefined) return why
  await finishNames(engine, containers, signal).catch(ignored('docker', 'rename containers'))
  return undefined
}

/**
 * Deploys a stored release again, without a registry and without the computer that deployed it. If that fails, resolves
 * to the reason.
 */
export async function restoreRelease(
  target: DeployTarget,
  stack: Pick<Stack, 'name' | 'wait'>,
  release: Release,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { mirror, engine } = target
  const content = await readReleaseContent(mirror.host, mirror.folder, release)
  await restoreImageNames(engine, content.model, release)
  const [image] = Object.values(release.images)
  if (image !== undefined) await markUnfinished(engine, stack.name, image)
  await restoreObjects(mirror, content.files)
  const { model, environment: variables } = content
  const why = await runUp(target, stack, { model, variables }, signal)
  if (why === undefined) await clearUnfinished(engine, stack.name)
  return why
}

/** Restores the current release after a failure. Resolves to a sentence about the outcome. */
export async function putBack(
  target: DeployTarget,
  stack: Pick<Stack, 'name' | 'wait'>,
  { current, all }: Releases,
  progress: Progress,
): Promise<string> {
  const release = all.find(({ number }) => number === current)
  if (release === undefined) {
    return 'There is no earlier release to restore; the failed containers were kept for inspection.'
  }
  const { number } = release
  progress(`restore release ${number}`)
  try {
    // not the command's own signal, which may have been aborted
    const why = await restoreRelease(target, stack, release, new AbortController().signal)
    if (why === undefined) return `Release ${number} was restored.`
    return `Release ${number} could not be restored: ${why}.`
  } catch (error) {
    return `Release ${number} could not be restored: ${messageOf(error)}.`
  }
}
