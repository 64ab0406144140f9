import type { Fleet } from '../../app/fleet.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Candidate } from './known-words.ts'
import { ignored } from '../../os/trace.ts'

/** What can be named on an engine. */
type Kind = 'container' | 'running-container' | 'stopped-container' | 'image'

/** How long a Tab waits for an engine that was seen before, and for one that was not, in milliseconds. */
const timeoutsMs = { seen: 40, unseen: 300 }

/** What engines were last seen to have, for as long as the broker runs. */
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

/** The names on one engine: as they are now, or, where it takes its time, as they were. */
async function namesOn(fleet: Fleet, machine: Machine, kind: Kind): Promise<readonly Candidate[]> {
  const { host } = machine
  const key = JSON.stringify([kind, host?.address, host?.port, host?.user, machine.name])
  const before = seen.get(key)
  const engine = await fleet.engine(machine)
  const asked = kind === 'image' ? listImageNames(engine) : listContainerNames(engine, kind)
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

/** The machines that the words of an unfinished command line name, else the active one. */
async function machinesIn(fleet: Fleet, line: readonly string[]): Promise<readonly Machine[]> {
  const { chooseHosts } = await import('../../operations/inventory/choose-machines.ts')
  const valueOf = (...names: string[]): string | undefined => {
    const at = line.findIndex((word, index) => names.includes(word) && index < line.length - 2)
    const joined = line.find((word) => names.some((name) => word.startsWith(`${name}=`)))
    return at === -1 ? joined?.slice(joined.indexOf('=') + 1) : line[at + 1]
  }
  const on = line.includes('--all') ? 'all' : valueOf('--on')
  return chooseHosts(fleet, {
    machine: valueOf('-m', '--machine'),
    on: on === undefined ? [] : [on],
  })
}

/**
 * What has a name on the engines that are meant. Only the broker knows, and only of hosts that it is connected to: a Tab
 * logs in nowhere.
 */
export async function namesOnEngines(
  fleet: Fleet,
  line: readonly string[],
  kind: Kind,
): Promise<Candidate[]> {
  if (fleet.hosted === undefined) return []
  const machines = await machinesIn(fleet, line)
  const found = await Promise.all(machines.map((machine) => namesOn(fleet, machine, kind)))
  return [...new Map(found.flat().map((name) => [name.word, name])).values()]
}
