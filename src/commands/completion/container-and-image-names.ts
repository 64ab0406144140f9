import type { Fleet } from '../../app/fleet.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Candidate } from './known-words.ts'
import { ignored } from '../../os/trace.ts'

/** The kinds of objects on an engine. */
type Kind =
  | 'container'
  | 'running-container'
  | 'stopped-container'
  | 'image'
  | 'volume'
  | 'network'
  | 'service'

/** How long to wait for an engine, in milliseconds: with and without earlier results. */
const timeoutsMs = { seen: 40, unseen: 300 }

/** The results of earlier completions in this broker. */
const seen = new Map<string, readonly Candidate[]>()

async function listContainerNames(engine: Engine, kind: Kind): Promise<Candidate[]> {
  const { containerName, listContainers } = await import('../../engine/containers.ts')
  const containers = await listContainers(engine, { all: kind !== 'running-container' })
  return containers
    .filter(({ State }) => kind !== 'stopped-container' || State !== 'running')
    .map((container) => ({
      word: containerName(container),
      description: `${container.Image}, ${container.Status}`,
    }))
}

async function listImageNames(engine: Engine): Promise<Candidate[]> {
  const { listImages } = await import('../../engine/images.ts')
  const names = (await listImages(engine)).flatMap(({ RepoTags }) => RepoTags ?? [])
  return names.filter((name) => !name.includes('<none>')).map((word) => ({ word, description: '' }))
}

async function listVolumeNames(engine: Engine): Promise<Candidate[]> {
  const { listVolumes } = await import('../../engine/volumes.ts')
  return (await listVolumes(engine)).map(({ Name, Driver }) => ({
    word: Name,
    description: Driver,
  }))
}

async function listNetworkNames(engine: Engine): Promise<Candidate[]> {
  const { listNetworks } = await import('../../engine/networks.ts')
  return (await listNetworks(engine)).map(({ Name, Driver }) => ({
    word: Name,
    description: Driver,
  }))
}

async function listServiceNames(engine: Engine): Promise<Candidate[]> {
  const { listServices } = await import('../../engine/swarm/services.ts')
  return (await listServices(engine)).map(({ Spec }) => ({
    word: Spec.Name,
    description: Spec.TaskTemplate.ContainerSpec?.Image ?? '',
  }))
}

function listNames(engine: Engine, kind: Kind): Promise<Candidate[]> {
  switch (kind) {
    case 'image':
      return listImageNames(engine)
    case 'volume':
      return listVolumeNames(engine)
    case 'network':
      return listNetworkNames(engine)
    case 'service':
      return listServiceNames(engine)
    case 'container':
    case 'running-container':
    case 'stopped-container':
      return listContainerNames(engine, kind)
  }
}

/** The names on one engine; those of the earlier result if the engine is slow. */
async function namesOn(fleet: Fleet, machine: Machine, kind: Kind): Promise<readonly Candidate[]> {
  const { host } = machine
  const key = JSON.stringify([kind, host?.address, host?.port, host?.user, machine.name])
  const before = seen.get(key)
  const engine = await fleet.engine(machine)
  const asked = listNames(engine, kind)
  const now = asked.then((names) => {
    seen.set(key, names)
    return names
  })
  const late = new Promise<undefined>((resolve) => {
    const ms = before === undefined ? timeoutsMs.unseen : timeoutsMs.seen
    setTimeout(() => resolve(undefined), ms).unref()
  })
  return (
    (await Promise.race([now.catch(ignored('completion', 'ask the engines')), late])) ??
    before ??
    []
  )
}

/** The value of an option in an unfinished command line. */
function valueIn(line: readonly string[], ...names: readonly string[]): string | undefined {
  const at = line.findIndex((word, index) => names.includes(word) && index < line.length - 2)
  const joined = line.find((word) => names.some((name) => word.startsWith(`${name}=`)))
  return at === -1 ? joined?.slice(joined.indexOf('=') + 1) : line[at + 1]
}

/** The managers of the swarm that an unfinished command line names, else of the only one. */
async function managersIn(fleet: Fleet, line: readonly string[]): Promise<readonly Machine[]> {
  const { chooseSwarm } = await import('../../operations/services/open-swarm.ts')
  const { rolesOf } = await import('../../machine/swarms.ts')
  const inventory = await (await fleet.inventory()).read()
  const { swarms, machines } = inventory
  const swarm = swarms.get(chooseSwarm(inventory, valueIn(line, '-m', '--machine')))
  const roles = swarm && rolesOf(swarm, machines.values())
  return [...machines.values()].filter(({ name }) => roles?.get(name) === 'manager')
}

/** The machines that an unfinished command line names, else the active one. */
async function machinesIn(fleet: Fleet, line: readonly string[]): Promise<readonly Machine[]> {
  const { chooseHosts } = await import('../../operations/inventory/choose-machines.ts')
  const on = line.includes('--all') ? 'all' : valueIn(line, '--on')
  if (on !== undefined && /(?:^|[,!])state!?=/.test(on)) return [] // it would query hosts
  return chooseHosts(fleet, {
    machine: valueIn(line, '-m', '--machine'),
    on: on === undefined ? [] : [on],
  })
}

/**
 * The names on the engines of the chosen machines. Only the broker knows them, and only for connected hosts:
 * completion never logs in.
 */
export async function namesOnEngines(
  fleet: Fleet,
  line: readonly string[],
  kind: Kind,
): Promise<Candidate[]> {
  if (fleet.hosted === undefined) return []
  const machines = await (kind === 'service' ? managersIn : machinesIn)(fleet, line)
  const naming = machines.map((machine) => namesOn(fleet, machine, kind))
  const found = (await Promise.allSettled(naming)).flatMap((names) =>
    names.status === 'fulfilled' ? [names.value] : [],
  )
  return [...new Map(found.flat().map((name) => [name.word, name])).values()]
}
