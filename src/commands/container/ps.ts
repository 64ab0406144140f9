import type { ContainerPort, ContainerSummary, ListOptions } from '../../engine/containers.ts'
import { colorsOf, stateColor } from '../../ui/color.ts'
import { humanAge, humanSize, shorten } from '../../ui/human-units.ts'
import type { Io } from '../../ui/io.ts'
import type { Column } from '../../ui/table.ts'
import { type Invocation, defineCommand, flag, parsed } from '../command.ts'
import { parseCount } from '../options/numbers.ts'
import { askEngines, listFromEngines } from '../multi/query-engines.ts'
import { mergeIpFamilies, portsText } from './fields.ts'
import { referenceOf } from './references.ts'
import { filterOption, parseFilters } from '../options/filters.ts'
import { type Truncation, noTruncOption, truncationOf } from '../options/truncation.ts'

/** A container as `fleet ps` shows it. Sizes are in bytes. */
interface Row {
  readonly id: string
  readonly name: string
  readonly image: string
  readonly command: string
  readonly created: string
  readonly state: string
  readonly status: string
  readonly ports: readonly ContainerPort[]
  readonly labels: Readonly<Record<string, string>>
  readonly size?: { readonly writable: number; readonly virtual: number }
}

function columnsOf(
  io: Io,
  { fullIds, fullCommands }: Truncation,
  withSize: boolean,
): Column<Row>[] {
  const colors = colorsOf(io, 'stdout')
  return [
    {
      title: 'CONTAINER ID',
      text: (row) => (fullIds ? row.id : row.id.slice(0, 12)),
      keep: true,
      drop: 3,
      width: 12,
    },
    {
      title: 'IMAGE',
      text: (row) => row.image.replace(/^sha256:(.{12}).*/, fullIds ? '$&' : '$1'),
      width: 20,
    },
    {
      title: 'COMMAND',
      text: (row) => (fullCommands ? row.command : shorten(row.command, 20)),
      drop: 5,
      width: 20,
    },
    {
      title: 'CREATED',
      text: (row) => humanAge(Date.parse(row.created) / 1000),
      drop: 4,
      width: 13,
    },
    {
      title: 'STATUS',
      text: (row) => row.status,
      paint: (text, row) => stateColor(colors, healthOf(row))(text),
      width: 22,
    },
    {
      title: 'PORTS',
      text: ({ ports }) => portsText(io.stdout.isTTY ? mergeIpFamilies(ports) : ports),
      drop: 1,
      width: 20,
    },
    { title: 'NAME', text: (row) => row.name, keep: true, width: 16 },
    ...(withSize ? [sizeColumn] : []),
  ]
}

/** Returns the state of a container, or `unhealthy` if its health check fails. */
const healthOf = ({ state, status }: Row): string =>
  status.includes('(unhealthy)') ? 'unhealthy' : state

const sizeColumn: Column<Row> = {
  title: 'SIZE',
  drop: 2,
  text: ({ size }) =>
    size === undefined ? '' : `${humanSize(size.writable)} (virtual ${humanSize(size.virtual)})`,
}

function rowOf(container: ContainerSummary, name: string): Row {
  const { SizeRw, SizeRootFs } = container
  return {
    id: container.Id,
    name,
    image: container.Image,
    command: container.Command,
    created: new Date(container.Created * 1000).toISOString(),
    state: container.State,
    status: container.Status,
    ports: container.Ports,
    labels: container.Labels,
    ...(SizeRw !== undefined &&
      SizeRootFs !== undefined && { size: { writable: SizeRw, virtual: SizeRootFs } }),
  }
}

/** Writes one JSON line for each container: docker's fields, and the machine if there are several machines. */
async function writeDockerLines(
  invocation: Pick<Invocation, 'fleet' | 'io' | 'targets' | 'format'>,
  query: ListOptions,
  isWhole: boolean,
): Promise<number> {
  const { io } = invocation
  const { listContainers } = await import('../../engine/containers.ts')
  const { dockerFields } = await import('./fields.ts')
  const { answers, many, reportFailures } = await askEngines(invocation, (engine, signal) =>
    listContainers(engine, { ...query, signal }),
  )
  const now = Date.now()
  for (const { machine, value } of answers) {
    for (const container of value) {
      const fields = dockerFields(container, { isWhole, now })
      io.stdout.write(`${JSON.stringify(many ? { ...fields, Machine: machine } : fields)}\n`)
    }
  }
  return reportFailures()
}

export const ps = defineCommand({
  name: 'ps',
  summary: 'List containers',
  description:
    'List running containers. With --quiet, only IDs are printed, as MACHINE/ID if machines are chosen by selector; all container commands accept both forms. With --format, the available fields are {{.Machine}} and those of docker ps, such as {{.Names}}; --format json prints all of them.',
  options: {
    stopped: flag('-a, --all-containers', 'include stopped containers'),
    last: parsed(
      '-n, --last <count>',
      'number of most recently created containers to show',
      (count) => parseCount(count, 1),
    ),
    latest: flag('-l, --latest', 'show only the most recently created container'),
    size: flag('-s, --size', 'show the writable layer size and the total size'),
    filter: filterOption,
    trunc: noTruncOption,
  },
  targets: 'many',
  gathers: true,
  answers: 'names',
  runsInBroker: () => true,
  examples: [
    'fleet ps -a',
    'fleet ps --on role=web',
    'fleet ps --all --json',
    'fleet container stop $(fleet ps --on role=web -q)',
  ],
  async run({ options, ...invocation }) {
    const { containerName, listContainers } = await import('../../engine/containers.ts')
    const limit = options.last ?? (options.latest ? 1 : undefined)
    const query = {
      all: options.stopped,
      size: options.size,
      filters: parseFilters(options.filter),
      ...(limit === undefined ? {} : { limit }),
    }
    const truncation = truncationOf(invocation.io, options)
    if (invocation.format.template !== undefined) {
      return writeDockerLines(invocation, query, truncation.fullIds)
    }
    return listFromEngines(invocation, {
      async list(engine, signal, machine) {
        const containers = await listContainers(engine, { ...query, signal })
        if (invocation.fleet.hosted && limit === undefined && options.filter.length === 0) {
          const { rememberContainers } = await import('../completion/container-and-image-names.ts')
          const { stopped: all } = options
          await rememberContainers(invocation.fleet, machine, containers, { all })
        }
        return containers.map((container) => rowOf(container, containerName(container)))
      },
      columns: columnsOf(invocation.io, truncation, options.size),
      whole: !options.trunc,
      name({ id, machine }) {
        const shown = truncation.fullIds ? id : id.slice(0, 12)
        return referenceOf(machine, shown)
      },
    })
  },
})
