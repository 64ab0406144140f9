import { createHash } from 'node:crypto'
import type { Engine } from '../../engine/engine.ts'
import {
  type SwarmObject,
  createObject,
  listObjects,
  removeObject,
  setConfigLabels,
} from '../../engine/swarm/objects.ts'
import { stackLabel } from '../../engine/swarm/services.ts'
import { UserError } from '../../errors.ts'
import { ignored } from '../../os/trace.ts'
import { outdatedReleases } from '../stacks/restorable-releases.ts'
import type { NamedContent, SwarmFile } from './swarm-file.ts'

/** A deployment of a stack. The swarm stores it as a config that contains the deployed file. */
export interface SwarmRelease {
  readonly number: number
  readonly state: 'deploying' | 'ready' | 'failed'
  /** Whether the swarm runs the services of this release. */
  readonly isCurrent: boolean
  readonly by: string
  /** The time of the deployment, in ISO 8601 format. */
  readonly at: string
  readonly commit?: string
  readonly object: SwarmObject
}

/** The labels of the configs and secrets of a stack, and of its releases. */
const labelNames = {
  content: 'fleet.stack.content',
  stack: 'fleet.stack',
  release: 'fleet.release',
  state: 'fleet.state',
  current: 'fleet.current',
  by: 'fleet.by',
  at: 'fleet.at',
  commit: 'fleet.commit',
} as const

function releaseOf(object: SwarmObject): SwarmRelease[] {
  const { Labels: labels } = object.Spec
  const number = Number(labels[labelNames.release])
  const state = labels[labelNames.state]
  if (!Number.isInteger(number) || number < 1) return []
  const commit = labels[labelNames.commit]
  return [
    {
      ...{ number, object, state: state === 'ready' || state === 'failed' ? state : 'deploying' },
      isCurrent: labels[labelNames.current] !== undefined,
      ...{ by: labels[labelNames.by] ?? '', at: labels[labelNames.at] ?? '' },
      ...(commit !== undefined && { commit }),
    },
  ]
}

/** Lists the releases of a stack on a swarm, oldest first. */
export async function readSwarmReleases(
  engine: Engine,
  stack: string,
  signal: AbortSignal,
): Promise<readonly SwarmRelease[]> {
  const objects = await listObjects(engine, 'configs', `${labelNames.stack}=${stack}`, signal)
  return objects.flatMap(releaseOf).toSorted((one, other) => one.number - other.number)
}

/** The names of the stacks that have releases on a swarm. */
export async function stacksWithReleases(
  engine: Engine,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const objects = await listObjects(engine, 'configs', labelNames.stack, signal)
  return [...new Set(objects.flatMap(({ Spec }) => Spec.Labels[labelNames.stack] ?? []))]
}

/** The file of a release. Throws kind `failed` if it cannot be read. */
export function fileOf({ number, object }: SwarmRelease): SwarmFile {
  try {
    const text = Buffer.from(object.Spec.Data ?? '', 'base64').toString()
    const file = JSON.parse(text) as Partial<SwarmFile> | null
    if (typeof file?.services === 'object') return file as SwarmFile
  } catch {
    // reported below
  }
  throw new UserError('failed', `cannot read release ${number}`)
}

/** Creates the configs and secrets that the swarm does not have yet. */
export async function createContents(
  engine: Engine,
  stack: string,
  objects: readonly NamedContent[],
  signal: AbortSignal,
): Promise<void> {
  for (const kind of ['configs', 'secrets'] as const) {
    const own = objects.filter((one) => one.kind === kind)
    if (own.length === 0) continue
    const existing = await listObjects(engine, kind, `${stackLabel}=${stack}`, signal)
    const names = new Set(existing.map(({ Spec }) => Spec.Name))
    const labels = { [stackLabel]: stack, [labelNames.content]: stack }
    for (const { name, content } of own) {
      if (names.has(name)) continue
      names.add(name)
      await createObject(engine, kind, { name, labels, content }, signal)
    }
  }
}

/** The maximum length of a stack name in the names of its releases, because config names have at most 64 characters. */
const longestStack = 45

/** Returns the prefix of the names of a stack's releases. A long stack name is replaced by its digest. */
function releasePrefix(stack: string): string {
  if (stack.length <= longestStack) return `fleet-${stack}`
  return `fleet-${createHash('sha256').update(stack).digest('hex').slice(0, longestStack)}`
}

/** Writes a new release with the state `deploying`, and returns it. */
export async function writeRelease(
  engine: Engine,
  stack: string,
  file: SwarmFile,
  { by, commit }: { readonly by: string; readonly commit: string | undefined },
  signal: AbortSignal,
): Promise<SwarmRelease> {
  const number = ((await readSwarmReleases(engine, stack, signal)).at(-1)?.number ?? 0) + 1
  const labels = {
    ...{ [labelNames.stack]: stack, [labelNames.release]: String(number) },
    ...{ [labelNames.state]: 'deploying', [labelNames.by]: by },
    [labelNames.at]: new Date().toISOString(),
    ...(commit !== undefined && { [labelNames.commit]: commit }),
  }
  const content = Buffer.from(JSON.stringify(file))
  const name = `${releasePrefix(stack)}-${number}`
  await createObject(engine, 'configs', { name, labels, content }, signal)
  const written = (await readSwarmReleases(engine, stack, signal)).find(
    (release) => release.number === number,
  )
  if (written === undefined) throw new UserError('failed', `release ${number} was removed`)
  return written
}

/** Records the result of a deployment. A release that is ready becomes the current one. */
export async function endRelease(
  engine: Engine,
  stack: string,
  number: number,
  state: 'ready' | 'failed',
  signal: AbortSignal,
): Promise<void> {
  for (const release of await readSwarmReleases(engine, stack, signal)) {
    const { object } = release
    const { [labelNames.current]: current, ...labels } = object.Spec.Labels
    if (release.number === number) {
      const ended = {
        ...labels,
        [labelNames.state]: state,
        ...(state === 'ready' && { [labelNames.current]: 'yes' }),
      }
      await setConfigLabels(engine, object, ended, signal)
    } else if (state === 'ready' && current !== undefined) {
      await setConfigLabels(engine, object, labels, signal)
    }
  }
}

/** Returns the names of the configs and secrets that a file uses. */
function namesIn(file: SwarmFile): string[] {
  const sections = [file['configs'], file['secrets']] as (
    | Record<string, { name?: string }>
    | undefined
  )[]
  return sections.flatMap((section) =>
    Object.values(section ?? {}).flatMap(({ name = [] }) => name),
  )
}

/** Removes old releases, and configs and secrets that are not used by any service or kept release. */
export async function removeUnused(
  engine: Engine,
  stack: string,
  signal: AbortSignal,
): Promise<void> {
  const all = await readSwarmReleases(engine, stack, signal)
  const current = all.find(({ isCurrent }) => isCurrent)?.number
  const outdated = outdatedReleases({ current, all })
  const kept = all.filter((release) => !outdated.includes(release))
  for (const { object } of outdated) await removeObject(engine, 'configs', object, signal)
  const used = new Set(kept.flatMap((release) => namesIn(fileOf(release))))
  for (const kind of ['configs', 'secrets'] as const) {
    for (const object of await listObjects(engine, kind, labelNames.content, signal)) {
      const isOwn = object.Spec.Labels[labelNames.content] === stack
      if (!isOwn || used.has(object.Spec.Name)) continue
      await removeObject(engine, kind, object, signal).catch(
        ignored('engine', `remove ${object.Spec.Name}, which a service may still use`),
      )
    }
  }
}

/** Removes all releases, configs and secrets of a stack. Throws kind `failed` if a service uses one of them. */
export async function removeContents(
  engine: Engine,
  stack: string,
  signal: AbortSignal,
): Promise<void> {
  for (const kind of ['configs', 'secrets'] as const) {
    for (const object of await listObjects(engine, kind, `${stackLabel}=${stack}`, signal)) {
      await removeObject(engine, kind, object, signal)
    }
  }
  for (const { object } of await readSwarmReleases(engine, stack, signal)) {
    await removeObject(engine, 'configs', object, signal)
  }
}
