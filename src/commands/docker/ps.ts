import type { ContainerPort, ContainerSummary } from '../../engine/containers.ts'
import { UserError } from '../../errors.ts'
import { shellQuote } from '../../shell-quote.ts'
import { humanAge, humanSize, shorten } from '../../ui/human.ts'
import type { Column } from '../../ui/table.ts'
import { defineCommand, flag, parsed } from '../definition.ts'
import { parseCount } from '../numbers.ts'
import { listFromEngines } from './across.ts'
import { filterOption, parseFilters } from './filters.ts'
import { type Wholeness, noTruncOption, wholenessOf } from './wholeness.ts'

/** A container as `fleet ps` shows it; sizes in bytes. */
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

function portText({ IP, PublicPort, PrivatePort, Type }: ContainerPort): string {
  if (PublicPort === undefined) return `${PrivatePort}/${Type}`
  const host = IP?.includes(':') ? `[${IP}]` : IP
  return `${host}:${PublicPort}->${PrivatePort}/${Type}`
}

const columnsOf = ({ wholeIds, wholeCommands }: Wholeness, withSize: boolean): Column<Row>[] => [
  { title: 'CONTAINER ID', text: (row) => (wholeIds ? row.id : row.id.slice(0, 12)) },
  {
    title: 'IMAGE',
    text: (row) => row.image.replace(/^sha256:(.{12}).*/, wholeIds ? '$&' : '$1'),
  },
  { title: 'COMMAND', text: (row) => (wholeCommands ? row.command : shorten(row.command, 20)) },
  { title: 'CREATED', text: (row) => humanAge(Date.parse(row.created) / 1000) },
  { title: 'STATUS', text: (row) => row.status },
  { title: 'PORTS', text: (row) => row.ports.map(portText).join(', ') },
  { title: 'NAME', text: (row) => row.name },
  ...(withSize ? [sizeColumn] : []),
]

const sizeColumn: Column<Row> = {
  title: 'SIZE',
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

/** Reads `--format`. Docker's templates name docker's own fields, which docker alone knows. */
function parseFormat(format: string): 'table' | 'json' {
  if (format === 'table' || format === 'json') return format
  throw new UserError('usage', `fleet ps has no templates: --format is table or json`, {
    hint: `for a template of docker: fleet docker ps --format ${shellQuote(format)}`,
  })
}

export const ps = defineCommand({
  name: 'ps',
  summary: 'List containers',
  options: {
    stopped: flag('-a, --all-containers', 'those that do not run, too'),
    last: parsed('-n, --last <count>', 'only the last ones created', (count) =>
      parseCount(count, 1),
    ),
    latest: flag('-l, --latest', 'only the last one created'),
    format: parsed('--format <format>', 'table or json, which is --json', parseFormat),
    size: flag('-s, --size', 'the size of each writable layer, and of all layers together'),
    filter: filterOption,
    trunc: noTruncOption,
  },
  targets: 'many',
  gathers: true,
  answers: 'names',
  examples: ['fleet ps -a', 'fleet ps --on role=web', 'fleet ps --all --json'],
  async run({ options, ...invocation }) {
    const { containerName, listContainers } = await import('../../engine/containers.ts')
    const limit = options.latest ? 1 : options.last
    const json = invocation.format.json || options.format === 'json'
    const query = {
      all: options.stopped,
      size: options.size,
      filters: parseFilters(options.filter),
      ...(limit === undefined ? {} : { limit }),
    }
    return listFromEngines(
      { ...invocation, format: { ...invocation.format, json } },
      {
        async list(engine, signal) {
          const containers = await listContainers(engine, { ...query, signal })
          return containers.map((container) => rowOf(container, containerName(container)))
        },
        columns: columnsOf(wholenessOf(invocation.io, options), options.size),
        name: (row) => row.name,
      },
    )
  },
})
