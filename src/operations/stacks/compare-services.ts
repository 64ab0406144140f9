import { plainText } from '../compose/project-model.ts'
import type { StackContainer } from './observe-stack.ts'
import {
  type StackModel,
  followedBy,
  hasUnknownHash,
  imageOf,
  isOneShot,
  scaleOf,
  stackLabels,
} from './stack-model.ts'

/** A change that a deployment makes to the containers of one service on one host. */
export interface ServiceChange {
  readonly service: string
  /**
   * `create`: the service has no container. `recreate`: its containers are replaced. `scale`: containers are added or
   * removed. `start`: containers are started. `remove`: the stack does not define this service.
   */
  readonly action: 'create' | 'recreate' | 'scale' | 'start' | 'remove'
  readonly why: string
}

/** The differences between a stack's model and its containers on one host. */
export interface StackDrift {
  /** The changes that a deployment makes, in the order of the services, with removals last. */
  readonly changes: readonly ServiceChange[]
  /** Services without changes that have an unhealthy container. */
  readonly unhealthy: readonly string[]
}

/** The expected state of the containers of a stack on one host. */
export interface ExpectedStack {
  /** The deployed model. */
  readonly model: StackModel
  /**
   * Compose's hash of each service, computed with the IDs of the containers on this host whose namespaces are shared.
   */
  readonly hashes: ReadonlyMap<string, string>
  /** The version of Docker Compose that computed the hashes and will deploy the stack. */
  readonly version: string
  /** The image IDs on this host, keyed by image name in the model. Images that the host does not have are absent. */
  readonly images: ReadonlyMap<string, string>
}

/** Returns the reason a container is replaced; undefined if it is kept. */
function reasonToRecreate(
  { model, hashes, version, images }: ExpectedStack,
  service: string,
  container: StackContainer,
): string | undefined {
  const { [service]: definition = {} } = model.services
  const { labels = {} } = definition
  const isOther =
    container.version !== undefined &&
    upstreamVersion(container.version) !== upstreamVersion(version)
  const versions = `Compose ${version} hashes it differently from Compose ${container.version}, which created the containers`
  const isChanged = hasUnknownHash(definition)
    ? container.labels[stackLabels.definition] !== labels[stackLabels.definition] || isOther
    : container.hash !== hashes.get(service)
  if (isChanged) {
    const isSame = (label: string): boolean => container.labels[label] === labels[label]
    if (!isSame(stackLabels.inputs)) return 'a file or definition that the service uses has changed'
    return isOther
      ? `either the configuration has changed, or ${versions}`
      : 'the configuration has changed'
  }
  const image = imageOf(model.name, service, definition)
  const id = images.get(image)
  if (id === undefined) return `the host does not have the image ${plainText(image)}`
  return container.image === id ? undefined : `the image ${plainText(image)} has changed`
}

/** A version without the package suffix, which Compose omits in labels: `2.40.3` for `2.40.3-3`. */
const upstreamVersion = (version: string): string =>
  /^v?(\d+(?:\.\d+)*)/.exec(version)?.[1] ?? version

/** Whether a version of Compose is older than 2.MINOR. */
function isOlder(version: string, minor: number): boolean {
  const [first = 0, second = 0] = upstreamVersion(version).split('.').map(Number)
  return first < 2 || (first === 2 && second < minor)
}

/**
 * Returns a network to which a running container should be connected, but is not. Since version 2.32, Compose replaces
 * such containers.
 */
function missingNetwork(
  { model, version }: ExpectedStack,
  service: string,
  { state, networks }: StackContainer,
): string | undefined {
  if (state !== 'running' || isOlder(version, 32)) return undefined
  const wanted = Object.keys(model.services[service]?.networks ?? {}).map(
    (key) => (model.networks?.[key] as { readonly name?: string } | null | undefined)?.name ?? key,
  )
  return wanted.find((name) => !networks.includes(name))
}

const containersOf = (count: number): string =>
  `${count} ${count === 1 ? 'container' : 'containers'}`

/** The services in the order in which Compose starts them. */
function inDependencyOrder({ services }: StackModel): readonly string[] {
  const ordered = new Set<string>()
  const visit = (name: string, path: readonly string[]): void => {
    const service = services[name]
    if (service === undefined || ordered.has(name) || path.includes(name)) return
    const others = [...followedBy(service), ...Object.keys(service.depends_on ?? {})]
    for (const other of others) visit(other, [...path, name])
    ordered.add(name)
  }
  for (const name of Object.keys(services)) visit(name, [])
  return [...ordered]
}

/**
 * Returns the change to one service; undefined if there is none. `changes`: the changes to the services that it depends
 * on.
 */
function compareService(
  expected: ExpectedStack,
  service: string,
  containers: readonly StackContainer[],
  changes: ReadonlyMap<string, ServiceChange>,
): ServiceChange | undefined {
  const { model, version } = expected
  const { [service]: definition = {} } = model.services
  const scale = scaleOf(definition)
  const count = containers.length
  const change = (action: ServiceChange['action'], why: string): ServiceChange => ({
    service,
    action,
    why,
  })
  if (count === 0) return scale === 0 ? undefined : change('create', 'the service has no container')
  if (scale === 0)
    return change('scale', `the service has ${containersOf(count)}, but should have none`)
  const isReplaced = (other: string): boolean => changes.get(other)?.action === 'recreate'
  const isNew = (other: string): boolean => changes.get(other)?.action === 'create'
  const followed = followedBy(definition).find((other) => isReplaced(other) || isNew(other))
  if (followed !== undefined) {
    return change(
      'recreate',
      `the service shares resources with ${followed}, whose container will be ${isNew(followed) ? 'created' : 'replaced'}`,
    )
  }
  const dependency = Object.keys(definition.depends_on ?? {}).find(isReplaced)
  if (dependency !== undefined && isOlder(version, 30)) {
    return change(
      'recreate',
      `Compose ${version} recreates the service together with ${dependency}`,
    )
  }
  for (const container of containers) {
    const why = reasonToRecreate(expected, service, container)
    if (why !== undefined) return change('recreate', why)
    const network = missingNetwork(expected, service, container)
    if (network !== undefined)
      return change('recreate', `a container is not connected to network ${network}`)
  }
  if (count !== scale) {
    return change('scale', `the service has ${containersOf(count)}, but should have ${scale}`)
  }
  const isDone = ({ state, exitCode }: StackContainer): boolean =>
    state === 'running' || (exitCode === 0 && isOneShot(model, service))
  const stopped = containers.filter((container) => !isDone(container))
  const [first] = stopped
  if (first === undefined) return undefined
  const { state, exitCode } = first
  const code = exitCode === undefined ? '' : ` with code ${exitCode}`
  const which = count === 1 ? 'the container' : `${stopped.length} of ${containersOf(count)}`
  const is = stopped.length === 1 ? 'is' : 'are'
  return change('start', `${which} ${state === 'exited' ? `exited${code}` : `${is} ${state}`}`)
}

function groupByService(
  containers: readonly StackContainer[],
): ReadonlyMap<string, readonly StackContainer[]> {
  const groups = new Map<string, StackContainer[]>()
  for (const container of containers) {
    const group = groups.get(container.service)
    if (group === undefined) groups.set(container.service, [container])
    else group.push(container)
  }
  return groups
}

/**
 * Compares the containers of a stack on one host with its model, by the rules that `docker compose up --remove-orphans`
 * uses to replace containers. Source: pkg/compose/convergence.go of Compose 2.26 and 2.40.
 */
export function compareServices(
  expected: ExpectedStack,
  containers: readonly StackContainer[],
): StackDrift {
  const { services } = expected.model
  const byService = groupByService(containers)
  const changes = new Map<string, ServiceChange>()
  for (const service of inDependencyOrder(expected.model)) {
    const change = compareService(expected, service, byService.get(service) ?? [], changes)
    if (change !== undefined) changes.set(service, change)
  }
  const orphans = [...byService.keys()].filter((name) => !Object.hasOwn(services, name)).sort()
  return {
    changes: [
      ...Object.keys(services).flatMap((name) => changes.get(name) ?? []),
      ...orphans.map((service): ServiceChange => ({
        service,
        action: 'remove',
        why: 'the stack does not define this service',
      })),
    ],
    unhealthy: Object.keys(services).filter(
      (name) =>
        !changes.has(name) && byService.get(name)?.some(({ health }) => health === 'unhealthy'),
    ),
  }
}
