import { nothing } from '../../engine/answer.ts'
import { type ContainerSummary, listContainers } from '../../engine/containers.ts'
import type { Engine } from '../../engine/engine.ts'
import { inspectImage } from '../../engine/images.ts'

/**
 * The common label of all idle containers. It is needed because engines only exclude containers that match all of
 * several `label!` filters.
 */
export const idleLabel = 'fleet.idle'

/** Creates a container that is never started and has no volumes. `image` is the ID of an image that the engine has. */
export async function createIdle(
  engine: Engine,
  {
    name,
    image,
    labels,
  }: {
    readonly name: string
    readonly image: string
    readonly labels: Readonly<Record<string, string>>
  },
): Promise<void> {
  const { Config } = (await inspectImage(engine, image)) as {
    readonly Config?: { readonly Volumes?: object | null } | null
  }
  const body = {
    Image: image,
    Entrypoint: ['fleet'], // an image may have no command, and the container must not start by mistake
    Cmd: [],
    Labels: { ...labels, [idleLabel]: '' },
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: 'none',
      // otherwise the engine would create the image's volumes
      Mounts: Object.keys(Config?.Volumes ?? {}).map((Target) => ({ Type: 'tmpfs', Target })),
    },
  }
  await engine.json({ method: 'POST', path: '/containers/create', query: { name }, body }, nothing)
}

/** The labels that show the purpose of an idle container. Each label's value is the name of a stack. */
export const idleLabels = {
  /** Keeps an image of a stack from `docker image prune --all`. */
  keeper: 'fleet.keeps-image-of',
  /** Marks a stack as unfinished. */
  unfinished: 'fleet.unfinished',
} as const

/** The label for Compose's hash of the configuration from which it created the container. */
export const hashLabel = 'com.docker.compose.config-hash'

/**
 * Whether a container is idle and has one of the labels. A Compose service's containers, which may have the same label,
 * are recognized by their hash.
 */
export const isIdle = (
  { Labels, State }: Pick<ContainerSummary, 'Labels' | 'State'>,
  labels: readonly string[] = Object.values(idleLabels),
): boolean =>
  State === 'created' &&
  Labels[hashLabel] === undefined &&
  labels.some((label) => Labels[label] !== undefined)

/** Lists the idle containers of a stack with a label. */
export async function listIdle(
  engine: Engine,
  label: string,
  stack: string,
): Promise<readonly ContainerSummary[]> {
  const filters = { label: [`${label}=${stack}`] }
  const found = await listContainers(engine, { all: true, filters })
  return found.filter((container) => isIdle(container, [label]))
}

/** Removes idle containers. */
export async function removeIdle(
  engine: Engine,
  containers: readonly Pick<ContainerSummary, 'Id'>[],
): Promise<void> {
  for (const { Id } of containers) {
    const query = { force: true, v: true }
    await engine.json({ method: 'DELETE', path: `/containers/${Id}`, query }, nothing)
  }
}

/** Does work that may remove idle containers, and then recreates those that were removed. */
export async function keepingIdle<Value>(
  engine: Engine,
  work: () => Promise<Value>,
): Promise<Value> {
  const list = async () =>
    listContainers(engine, { all: true, filters: { label: [idleLabel] } }).then((found) =>
      found.filter((container) => isIdle(container)),
    )
  const before = await list()
  const value = await work()
  const left = new Set(before.length === 0 ? [] : (await list()).map(({ Id }) => Id))
  for (const { Id, Names, ImageID, Labels } of before) {
    const name = Names[0]?.replace(/^\//, '')
    if (left.has(Id) || name === undefined) continue
    await createIdle(engine, { name, image: ImageID, labels: Labels })
  }
  return value
}
