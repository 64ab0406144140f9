import { type ContainerSummary, containerName, listContainers } from '../../engine/containers.ts'
import type { Engine } from '../../engine/engine.ts'
import { findImage } from '../../engine/images.ts'
import { hashLabel } from './idle-container.ts'
import { type StackModel, imageOf, projectLabel } from './stack-model.ts'
import { isUnfinishedMark } from './unfinished-mark.ts'

/** A container of a stack. */
export interface StackContainer {
  readonly id: string
  readonly name: string
  readonly service: string
  /** Compose's hash of the configuration from which the container was created. */
  readonly hash: string
  /** The ID of the image from which the container was created, as recorded by Compose. */
  readonly image: string | undefined
  /** The name of the image. If the name has since been moved to another image, Docker lists the image's ID instead. */
  readonly imageName: string
  /** The ID of the container's image, as listed by the engine. */
  readonly imageId: string
  /** The version of Compose that created the container. */
  readonly version: string | undefined
  readonly labels: Readonly<Record<string, string>>
  /** `running`, `exited`, … */
  readonly state: string
  /** Absent unless the container has exited. */
  readonly exitCode: number | undefined
  readonly health: 'healthy' | 'unhealthy' | 'starting' | undefined
  /** The names of the container's networks. */
  readonly networks: readonly string[]
  /** The paths on the host that are mounted into the container. */
  readonly mounts: readonly string[]
}

const label = (name: string): string => `com.docker.compose.${name}`

/** Returns the engine filters for the items of a stack: containers, networks, volumes and built images. */
export const filtersOf = (stack: string): { readonly label: readonly string[] } => ({
  label: [`${projectLabel}=${stack}`],
})

/** The health shown in the status text of a container: `Up 3 minutes (healthy)`. */
function healthIn(status: string): StackContainer['health'] {
  if (status.endsWith('(healthy)')) return 'healthy'
  if (status.endsWith('(unhealthy)')) return 'unhealthy'
  return status.endsWith('(health: starting)') ? 'starting' : undefined
}

function exitCodeIn(status: string): number | undefined {
  const [, code] = /^Exited \((\d+)\)/.exec(status) ?? []
  return code === undefined ? undefined : Number(code)
}

/**
 * Returns a container as part of a stack. Undefined for a container created by `docker compose run`, and for one that
 * Compose did not create (Compose ignores containers without a hash). Source: getDefaultFilters in
 * pkg/compose/containers.go of Compose 2.26 and 2.40.
 */
export function readStackContainer(container: ContainerSummary): StackContainer | undefined {
  const { Id: id, Labels: labels, State: state, Status, Networks: networks, Mounts } = container
  const { Image: imageName, ImageID: imageId } = container
  const service = labels[label('service')]
  const hash = labels[hashLabel]
  if (service === undefined || hash === undefined || labels[label('oneoff')] === 'True') {
    return undefined
  }
  return {
    id,
    name: containerName(container),
    service,
    hash,
    image: labels[label('image')],
    ...{ imageName, imageId },
    version: labels[label('version')],
    labels,
    state,
    exitCode: exitCodeIn(Status),
    health: healthIn(Status),
    networks,
    mounts: Mounts.map(({ Source }) => Source),
  }
}

/** The containers of a stack on an engine. */
export interface ListedStack {
  /** Sorted by name. */
  readonly containers: readonly StackContainer[]
  /**
   * Whether the files may differ from those with which the containers were created, because a deployment was
   * interrupted.
   */
  readonly isUnfinished: boolean
}

/** Lists the containers of a stack on an engine. */
export async function listStack(
  engine: Engine,
  stack: string,
  signal?: AbortSignal,
): Promise<ListedStack> {
  const filters = filtersOf(stack)
  const all = await listContainers(engine, { all: true, filters, ...(signal && { signal }) })
  const containers = all
    .flatMap((container) => readStackContainer(container) ?? [])
    .toSorted(({ name: one }, { name: other }) => (one < other ? -1 : 1))
  return { containers, isUnfinished: all.some(isUnfinishedMark) }
}

/** Lists the containers of a stack on an engine, sorted by name. */
export const listStackContainers = async (
  engine: Engine,
  stack: string,
  signal?: AbortSignal,
): Promise<readonly StackContainer[]> => (await listStack(engine, stack, signal)).containers

/** The image names of a model, keyed by service. */
const imageNames = ({ name: project, services }: StackModel): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(services).map(([name, service]) => [name, imageOf(project, name, service)]),
  )

/** The IDs of images on an engine, keyed by image name. Images that the engine does not have are absent. */
async function findImages(
  engine: Engine,
  names: Iterable<string>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, string>> {
  const found = await Promise.all(
    [...new Set(names)].map(
      async (name) => [name, (await findImage(engine, name, signal))?.Id] as const,
    ),
  )
  return new Map(found.flatMap(([name, id]) => (id === undefined ? [] : [[name, id] as const])))
}

/** The IDs of a model's images on an engine, keyed by image name. Images that the engine does not have are absent. */
export const findStackImages = (
  engine: Engine,
  model: StackModel,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> => findImages(engine, imageNames(model).values(), signal)

/** The first Docker release that is numbered by year. Lower numbers are Podman releases. */
const firstDocker = 17

/**
 * Whether an engine lists the name of a container's image only while the name refers to that image. Docker does
 * (`refreshImage` in daemon/list.go); Podman lists the name that was used when the container was created. `release`:
 * the recorded release of the engine.
 */
const listsCurrentNames = (release: string | undefined): boolean =>
  Number(/^\d+/.exec(release ?? '')?.[0] ?? 0) >= firstDocker

/**
 * Like {@link findStackImages}, but for the images with which containers are compared. The engine is asked only about
 * images that the list of containers does not prove to be current, so planning a stack without changes takes only one
 * request.
 */
export async function findComparedImages(
  engine: Engine,
  model: StackModel,
  { containers, release }: { containers: readonly StackContainer[]; release: string | undefined },
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const names = imageNames(model)
  const used = new Set(containers.flatMap(({ service }) => names.get(service) ?? []))
  const current = new Map(
    containers
      .filter(
        ({ image, imageName, imageId }) =>
          listsCurrentNames(release) && image === imageId && used.has(imageName),
      )
      .map(({ imageName, imageId }) => [imageName, imageId] as const),
  )
  const asked = [...used].filter((name) => !current.has(name))
  return new Map([...current, ...(await findImages(engine, asked, signal))])
}
