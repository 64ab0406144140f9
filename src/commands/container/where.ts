import { type ContainerSummary } from '../../engine/containers.ts'
import { colorsOf, stateColor } from '../../ui/color.ts'
import type { Io } from '../../ui/io.ts'
import type { Column } from '../../ui/table.ts'
import { defineCommand, required } from '../command.ts'
import { listFromEngines } from '../multi/query-engines.ts'
import { noContainer, searchTimeoutMs, searchedMachines } from './find-option.ts'

/** A container as `fleet where` shows it. */
export interface FoundContainer {
  readonly id: string
  readonly name: string
  /** The Compose project and service, if any. */
  readonly project?: string | undefined
  readonly service?: string | undefined
  readonly image: string
  readonly state: string
  readonly status: string
}

const columnsOf = (io: Io): Column<FoundContainer>[] => [
  { title: 'NAME', text: ({ name }) => name, keep: true, width: 16 },
  { title: 'CONTAINER ID', text: ({ id }) => id.slice(0, 12), drop: 2, width: 12 },
  {
    title: 'SERVICE',
    text: ({ project, service = '' }) =>
      project === undefined ? service : `${project}/${service}`,
    drop: 1,
    width: 16,
  },
  {
    title: 'IMAGE',
    text: ({ image }) => image.replace(/^sha256:(.{12}).*/, '$1'),
    drop: 3,
    width: 20,
  },
  {
    title: 'STATUS',
    text: ({ status }) => status,
    paint: (text, { state }) => stateColor(colorsOf(io, 'stdout'), state)(text),
    width: 22,
  },
]

export const where = defineCommand({
  name: 'where',
  summary: 'Show which machines have a container',
  description:
    'Search all machines, or the selected ones, for containers by name, Compose service, or ID (at least the first six characters). Stopped containers are included. With --quiet, containers are printed as MACHINE/NAME, which all container commands accept. If no container matches, the exit code is 1.',
  arguments: {
    name: required('name', 'container name, Compose service or container ID', 'container'),
  },
  targets: 'many',
  gathers: true,
  answers: 'names',
  runsInBroker: () => true,
  examples: ['fleet where web', 'fleet where --on role=web 3f2a9c81', 'fleet exec --find web sh'],
  async run({ args: { name }, ...invocation }) {
    const { listContainers } = await import('../../engine/containers.ts')
    const { containerWord, matchContainers, projectOf, serviceOf } =
      await import('../../operations/fan-out/match-containers.ts')
    const machines = await searchedMachines(invocation)
    const { targets } = invocation
    const isDefault = targets.machine === undefined && targets.on.length === 0
    const asking = isDefault ? { ...invocation, targets: { ...targets, on: ['all'] } } : invocation
    const seen: ContainerSummary[][] = []
    let hits = 0
    const code = await listFromEngines<FoundContainer>(asking, {
      async list(engine, signal, machine) {
        const containers = await listContainers(engine, { all: true, signal })
        if (invocation.fleet.hosted) {
          const { rememberContainers } = await import('../completion/container-and-image-names.ts')
          await rememberContainers(invocation.fleet, machine, containers, { all: true })
        }
        seen.push([...containers])
        const found = matchContainers(containers, name)
        hits += found.length
        return found.map((container) => ({
          id: container.Id,
          name: containerWord(container),
          project: projectOf(container),
          service: serviceOf(container),
          image: container.Image,
          state: container.State,
          status: container.Status,
        }))
      },
      columns: columnsOf(invocation.io),
      machines,
      timeMs: searchTimeoutMs,
      name: ({ machine = targets.machine, name }) => `${machine}/${name}`,
    })
    if (hits === 0 && seen.length > 0) throw await noContainer(name, seen.flat(), seen.length)
    return code
  },
})
