import type { VolumeSummary } from '../../engine/volumes.ts'
import { humanAge } from '../../ui/human-units.ts'
import type { Column } from '../../ui/table.ts'
import { type CommandGroup, defineCommand, flag, several } from '../command.ts'
import { inspectVolumes } from '../container/inspect.ts'
import { referenceOf } from '../container/references.ts'
import { passThrough } from '../docker-cli/pass-through.ts'
import { listFromEngines } from '../multi/query-engines.ts'
import { removeFromEngines } from '../multi/remove-from-engines.ts'
import { yesOption } from '../options/confirmation.ts'
import { filterOption, parseFilters } from '../options/filters.ts'
import { pruneVolumes } from '../system/prune.ts'

/** A volume as `fleet volume ls` shows it. */
interface Row {
  readonly name: string
  readonly driver: string
  readonly scope: string
  readonly mountpoint: string
  readonly created?: string
  readonly labels: Readonly<Record<string, string>>
}

const rowOf = ({ Name, Driver, Scope, Mountpoint, CreatedAt, Labels }: VolumeSummary): Row => {
  const created = Date.parse(CreatedAt ?? '')
  return {
    ...{ name: Name, driver: Driver, scope: Scope, mountpoint: Mountpoint },
    ...(Number.isNaN(created) ? {} : { created: new Date(created).toISOString() }),
    labels: Labels,
  }
}

const columns: readonly Column<Row>[] = [
  { title: 'VOLUME', text: ({ name }) => name, width: 24, keep: true },
  { title: 'DRIVER', text: ({ driver }) => driver, width: 6, drop: 1 },
  {
    title: 'CREATED',
    text: ({ created }) => (created === undefined ? '' : humanAge(Date.parse(created) / 1000)),
    drop: 2,
  },
]

const list = defineCommand({
  name: 'ls',
  aliases: ['list'],
  summary: 'List volumes',
  description:
    'List volumes. With --quiet, only names are printed, as MACHINE/NAME if machines are chosen by selector; inspect and rm accept both forms.',
  options: { filter: filterOption },
  targets: 'many',
  gathers: true,
  answers: 'names',
  examples: ['fleet volume ls --on role=web', 'fleet volume ls -f dangling=true'],
  async run({ options, ...invocation }) {
    const { listVolumes } = await import('../../engine/volumes.ts')
    const filters = parseFilters(options.filter)
    return listFromEngines<Row>(invocation, {
      list: async (engine, signal) => (await listVolumes(engine, { filters, signal })).map(rowOf),
      columns,
      name: ({ machine, name }) => referenceOf(machine, name),
    })
  },
})

const remove = defineCommand({
  name: 'rm',
  summary: 'Remove volumes',
  description:
    "Remove volumes and their data. Volumes that containers use are not removed. With --on or --all, fleet first lists the machines and asks for confirmation. On a protected machine, you must type the machine's name, even with --yes.",
  arguments: { names: several('names', 'volume names', 'volume') },
  options: {
    force: flag('-f, --force', 'do not fail if a volume does not exist'),
    yes: yesOption,
  },
  targets: 'many',
  gathers: true,
  answers: 'names',
  examples: ['fleet volume rm data', 'fleet volume rm --on role=web cache'],
  async run({ args, options, ...invocation }) {
    const { removeVolume } = await import('../../engine/volumes.ts')
    return removeFromEngines(invocation, {
      what: 'volume',
      names: args.names,
      yes: options.yes,
      remove: (engine, name, signal) =>
        removeVolume(engine, name, { force: options.force, signal }),
    })
  },
})

/** The commands of `fleet volume`. */
export const volume: CommandGroup = {
  name: 'volume',
  summary: 'Manage volumes',
  commands: [
    list,
    inspectVolumes,
    passThrough('create', ['volume', 'create'], 'Create a volume'),
    remove,
    pruneVolumes,
  ],
}
