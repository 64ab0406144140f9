import type { NetworkSummary } from '../../engine/networks.ts'
import type { Column } from '../../ui/table.ts'
import { type CommandGroup, defineCommand, several } from '../command.ts'
import { inspectNetworks } from '../container/inspect.ts'
import { referenceOf } from '../container/references.ts'
import { passThrough } from '../docker-cli/pass-through.ts'
import { listFromEngines } from '../multi/query-engines.ts'
import { removeFromEngines } from '../multi/remove-from-engines.ts'
import { yesOption } from '../options/confirmation.ts'
import { filterOption, parseFilters } from '../options/filters.ts'
import { type Truncation, noTruncOption, truncationOf } from '../options/truncation.ts'
import { pruneNetworks } from '../system/prune.ts'

/** A network as `fleet network ls` shows it. */
interface Row {
  readonly id: string
  readonly name: string
  readonly driver: string
  readonly scope: string
  readonly internal: boolean
  readonly subnets: readonly string[]
  readonly created?: string
  readonly labels: Readonly<Record<string, string>>
}

function rowOf({ Id, Name, Driver, Scope, Internal, IPAM, Created, Labels }: NetworkSummary): Row {
  const created = Date.parse(Created ?? '')
  return {
    ...{ id: Id, name: Name, driver: Driver, scope: Scope, internal: Internal },
    subnets: IPAM.Config.flatMap(({ Subnet }) => Subnet ?? []),
    ...(Number.isNaN(created) ? {} : { created: new Date(created).toISOString() }),
    labels: Labels,
  }
}

const columnsOf = ({ fullIds }: Truncation): Column<Row>[] => [
  {
    title: 'NETWORK ID',
    text: ({ id }) => (fullIds ? id : id.slice(0, 12)),
    width: 12,
    keep: true,
    drop: 3,
  },
  { title: 'NAME', text: ({ name }) => name, width: 20, keep: true },
  { title: 'DRIVER', text: ({ driver }) => driver, width: 7, drop: 1 },
  { title: 'SCOPE', text: ({ scope }) => scope, width: 6, drop: 2 },
  { title: 'SUBNETS', text: ({ subnets }) => subnets.join(', ') },
]

const list = defineCommand({
  name: 'ls',
  aliases: ['list'],
  summary: 'List networks',
  description:
    'List networks. With --quiet, only names are printed, as MACHINE/NAME if machines are chosen by selector; inspect and rm accept both forms.',
  options: { filter: filterOption, trunc: noTruncOption },
  targets: 'many',
  gathers: true,
  answers: 'names',
  examples: ['fleet network ls --on role=web', 'fleet network ls -f driver=bridge'],
  async run({ options, ...invocation }) {
    const { listNetworks } = await import('../../engine/networks.ts')
    const filters = parseFilters(options.filter)
    return listFromEngines<Row>(invocation, {
      list: async (engine, signal) => (await listNetworks(engine, { filters, signal })).map(rowOf),
      columns: columnsOf(truncationOf(invocation.io, options)),
      whole: !options.trunc,
      name: ({ machine, name }) => referenceOf(machine, name),
    })
  },
})

const remove = defineCommand({
  name: 'rm',
  summary: 'Remove networks',
  description:
    'Remove networks. Networks that containers use are not removed. With --on or --all, fleet first lists the machines and asks for confirmation.',
  arguments: { names: several('names', 'network names or IDs', 'network') },
  options: { yes: yesOption },
  targets: 'many',
  gathers: true,
  answers: 'names',
  examples: ['fleet network rm front', 'fleet network rm --on role=web front'],
  async run({ args, options, ...invocation }) {
    const { removeNetwork } = await import('../../engine/networks.ts')
    return removeFromEngines(invocation, {
      what: 'network',
      names: args.names,
      yes: options.yes,
      remove: (engine, name, signal) => removeNetwork(engine, name, { signal }),
    })
  },
})

/** The commands of `fleet network`. */
export const network: CommandGroup = {
  name: 'network',
  summary: 'Manage networks',
  commands: [
    list,
    inspectNetworks,
    passThrough('create', ['network', 'create'], 'Create a network'),
    passThrough('connect', ['network', 'connect'], 'Connect a container to a network'),
    passThrough('disconnect', ['network', 'disconnect'], 'Disconnect a container from a network'),
    remove,
    pruneNetworks,
  ],
}
