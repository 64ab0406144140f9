import type { Fleet } from '../../app/fleet.ts'
import type { ContainerSummary } from '../../engine/containers.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Machine } from '../../machine/machine.ts'
import { ignored } from '../../os/trace.ts'
import type { Candidate } from './inventory-names.ts'

/** The kinds of objects on an engine. */
type Kind =
  | 'container'
  | 'running-container'
  | 'stopped-container'
  | 'image'
  | 'volume'
  | 'network'
  | 'service'

/**
 * The lists that completion reads from an engine. `running` contains only running containers, and `containers` contains
 * all of them.
 */
type List = 'containers' | 'running' | 'images' | 'volumes' | 'networks' | 'services'

/** A container, as remembered for completion. */
interface SeenContainer extends Candidate {
  readonly isRunning: boolean
  /** Its Compose service, if any. */
  readonly service: string | undefined
  /** Its TCP ports, published or not. */
  readonly ports: readonly number[]
}

/** A list that the broker has read. */
interface SeenList {
  readonly names: readonly Candidate[]
  /** The time at which the list was read, from `performance.now()`. */
  readonly at: number
}

/** How long a Tab waits for engines, in milliseconds. Answers that arrive later are used at the next Tab. */
const waitMs = 20
/** How long a list is considered fresh, in milliseconds: until then, it is not read again. */
const freshMs = 2_000
/** How many engines are queried at the same time. Limited so that the broker stays responsive. */
const atOnce = 8

/**
 * The lists that commands and completions in this broker have read. The key consists of inventory, machine and list.
 */
const seen = new Map<string, SeenList>()

async function keyOf(fleet: Fleet, machine: string, list: List): Promise<string> {
  return JSON.stringify([(await fleet.inventory()).location, machine, list])
}

const candidateOf = (container: ContainerSummary, name: string): SeenContainer => ({
  word: name,
  description: `${container.Image}, ${container.Status}`,
  isRunning: container.State === 'running',
  service: container.Labels['com.docker.compose.service'],
  ports: [
    ...new Set(
      container.Ports.filter(({ Type }) => Type === 'tcp').map(({ PrivatePort }) => PrivatePort),
    ),
  ],
})

/**
 * Remembers a complete list of containers for completion, if this process is the broker. `all`: whether the list
 * includes stopped containers.
 */
export async function rememberContainers(
  fleet: Fleet,
  machine: string,
  containers: readonly ContainerSummary[],
  { all }: { readonly all: boolean },
): Promise<void> {
  if (fleet.hosted === undefined) return
  const { containerName } = await import('../../engine/containers.ts')
  const names = containers.map((container) => candidateOf(container, containerName(container)))
  const at = performance.now()
  if (all) seen.set(await keyOf(fleet, machine, 'containers'), { names, at })
  const running = names.filter(({ isRunning }) => isRunning)
  seen.set(await keyOf(fleet, machine, 'running'), { names: running, at })
}

const named = (names: readonly string[]): Candidate[] =>
  names.filter((name) => !name.includes('<none>')).map((word) => ({ word, description: '' }))

/** Remembers the names of all of a machine's images for completion, if this process is the broker. */
export async function rememberImages(
  fleet: Fleet,
  machine: string,
  names: readonly string[],
): Promise<void> {
  if (fleet.hosted === undefined) return
  const key = await keyOf(fleet, machine, 'images')
  seen.set(key, { names: named(names), at: performance.now() })
}

/** Reads a list from an engine, and remembers it. */
async function refresh(fleet: Fleet, machine: Machine, list: List): Promise<void> {
  const engine: Engine = await fleet.engine(machine)
  if (list === 'containers' || list === 'running') {
    const { listContainers } = await import('../../engine/containers.ts')
    const containers = await listContainers(engine, { all: true })
    return rememberContainers(fleet, machine.name, containers, { all: true })
  }
  if (list === 'images') {
    const { listImages } = await import('../../engine/images.ts')
    const names = (await listImages(engine)).flatMap(({ RepoTags }) => RepoTags ?? [])
    return rememberImages(fleet, machine.name, names)
  }
  if (list === 'services') {
    const { listServices } = await import('../../engine/swarm/services.ts')
    const names = (await listServices(engine)).map(({ Spec }) => ({
      word: Spec.Name,
      description: Spec.TaskTemplate.ContainerSpec?.Image ?? '',
    }))
    seen.set(await keyOf(fleet, machine.name, list), { names, at: performance.now() })
    return
  }
  const found =
    list === 'volumes'
      ? await (await import('../../engine/volumes.ts')).listVolumes(engine)
      : await (await import('../../engine/networks.ts')).listNetworks(engine)
  const names = found.map(({ Name, Driver }) => ({ word: Name, description: Driver }))
  seen.set(await keyOf(fleet, machine.name, list), { names, at: performance.now() })
}

/** Each completion's unfinished queries. */
const refreshing = new WeakMap<Fleet, Promise<unknown>>()

/** Resolves when all of a completion's queries have finished. Until then, its connections must stay open. */
export const completionEnded = async (fleet: Fleet): Promise<void> => {
  await refreshing.get(fleet)
}

/** Reads a list from every engine that is connected and whose remembered list is not fresh. */
async function refreshAll(fleet: Fleet, machines: readonly Machine[], list: List): Promise<void> {
  const isDue = async (machine: Machine): Promise<boolean> => {
    const known = seen.get(await keyOf(fleet, machine.name, list))
    if (known !== undefined && performance.now() - known.at < freshMs) return false
    return fleet
      .isConnected(machine)
      .catch(ignored('completion', 'check for an open connection', false))
  }
  const waiting = machines.values()
  const takeTurns = async (): Promise<void> => {
    for (const machine of waiting) {
      if (!(await isDue(machine))) continue
      await refresh(fleet, machine, list).catch(ignored('completion', 'query the engine'))
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, machines.length) }, takeTurns))
}

/** Whether a command searches all machines unless options select some of them. */
const searchesAll = (line: readonly string[]): boolean =>
  line.includes('--find') || line.find((word) => !word.startsWith('-')) === 'where'

/** The value of an option in an unfinished command line. */
function valueIn(line: readonly string[], ...names: readonly string[]): string | undefined {
  const at = line.findIndex((word, index) => names.includes(word) && index < line.length - 2)
  const joined = line.find((word) => names.some((name) => word.startsWith(`${name}=`)))
  return at === -1 ? joined?.slice(joined.indexOf('=') + 1) : line[at + 1]
}

/** Resolves to the managers of the swarm that an unfinished command line names, or else of the only swarm. */
async function managersIn(fleet: Fleet, line: readonly string[]): Promise<readonly Machine[]> {
  const { chooseSwarm } = await import('../../operations/services/open-swarm.ts')
  const { rolesOf } = await import('../../machine/swarms.ts')
  const inventory = await (await fleet.inventory()).read()
  const { swarms, machines } = inventory
  const swarm = swarms.get(chooseSwarm(inventory, valueIn(line, '-m', '--machine')))
  const roles = swarm && rolesOf(swarm, machines.values())
  return [...machines.values()].filter(({ name }) => roles?.get(name) === 'manager')
}

/** Resolves to the machines that an unfinished command line selects, or else to the active machine. */
async function machinesIn(fleet: Fleet, line: readonly string[]): Promise<readonly Machine[]> {
  const { chooseHosts } = await import('../../operations/inventory/choose-machines.ts')
  const machine = valueIn(line, '-m', '--machine')
  const isAll = line.includes('--all') || (machine === undefined && searchesAll(line))
  const on = valueIn(line, '--on') ?? (isAll ? 'all' : undefined)
  if (on !== undefined && /(?:^|[,!])state!?=/.test(on)) return [] // this selector would query hosts
  return chooseHosts(fleet, { machine, on: on === undefined ? [] : [on] })
}

/** The lists that contain names of each kind, in order of preference. */
const listsOf: Readonly<Record<Kind, readonly [List, ...List[]]>> = {
  container: ['containers', 'running'],
  'running-container': ['running'],
  'stopped-container': ['containers'],
  image: ['images'],
  volume: ['volumes'],
  network: ['networks'],
  service: ['services'],
}

/**
 * Resolves to the names of a kind that the broker has read from the machines. Queries only hosts that are already
 * connected.
 */
async function seenOn(
  fleet: Fleet,
  machines: readonly Machine[],
  kind: Kind,
): Promise<readonly Candidate[]> {
  if (fleet.hosted === undefined) return []
  const lists = listsOf[kind]
  const asking = refreshAll(fleet, machines, lists[0])
  refreshing.set(fleet, asking)
  const late = new Promise<void>((resolve) => setTimeout(resolve, waitMs).unref())
  await Promise.race([asking, late])
  const found = await Promise.all(
    machines.map(async ({ name }) => {
      const all = await Promise.all(lists.map((list) => keyOf(fleet, name, list)))
      return all.map((key) => seen.get(key)?.names).find((names) => names !== undefined) ?? []
    }),
  )
  return found.flat()
}

/**
 * Resolves to the names of objects on the chosen machines' engines, as far as the broker has read them: completion
 * never logs in, and does not wait for slow engines.
 */
export async function namesOnEngines(
  fleet: Fleet,
  line: readonly string[],
  kind: Kind,
): Promise<Candidate[]> {
  if (fleet.hosted === undefined) return []
  const machines = await (kind === 'service' ? managersIn : machinesIn)(fleet, line)
  const names = await seenOn(fleet, machines, kind)
  const chosen = names.filter(
    (name) => kind !== 'stopped-container' || !('isRunning' in name && name.isRunning === true),
  )
  const services = searchesAll(line) && kind.endsWith('container') ? servicesOf(chosen) : []
  const all = [...services, ...chosen.map(({ word, description }) => ({ word, description }))]
  return [...new Map(all.map((name) => [name.word, name])).values()]
}

const servicesOf = (containers: readonly Candidate[]): Candidate[] =>
  (containers as readonly SeenContainer[]).flatMap(({ service }) =>
    service === undefined ? [] : [{ word: service, description: 'Compose service' }],
  )

/**
 * The ports of a machine's running containers, in the form that `fleet forward` accepts: `db:5432`, or `db:` if no port
 * is known.
 */
export async function containerPorts(fleet: Fleet, machine: Machine): Promise<Candidate[]> {
  const containers = (await seenOn(fleet, [machine], 'running-container')) as SeenContainer[]
  return containers.flatMap(({ word, description, ports }) =>
    ports.length === 0
      ? [{ word: `${word}:`, description }]
      : ports.map((port) => ({ word: `${word}:${port}`, description })),
  )
}
