import { exitCodes } from '../../errors.ts'
import type { StackOnMachine } from '../../operations/stacks/deployed/stack-states.ts'
import { colorsOf, stateColor } from '../../ui/color.ts'
import { writeResults } from '../../ui/failure.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { humanAge } from '../../ui/human-units.ts'
import type { Io } from '../../ui/io.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'
import { defaultTimeoutMs } from '../multi/query-engines.ts'
import { commonOptions } from '../options/common-options.ts'
import { statesOnSwarms } from './on-swarm.ts'

/** A row of the table: machines on which a stack is in the same state. */
interface Row {
  readonly first: StackOnMachine
  readonly all: readonly StackOnMachine[]
}

/**
 * Returns a note about a stack that needs attention, such as one that the inventory does not assign to its machines.
 * Empty for all other stacks.
 */
const noteOf = ({ selected, state, reason, swarm }: StackOnMachine): string => {
  if (reason !== undefined) return reason
  if (!selected)
    return `not assigned to ${swarm === undefined ? 'these machines' : 'this swarm'} in the inventory`
  return state === 'unmanaged' ? 'not deployed by fleet' : ''
}

function groupRows(items: readonly StackOnMachine[]): Row[] {
  const groups = new Map<string, StackOnMachine[]>()
  for (const item of items) {
    const { stack, state, release, commit } = item
    const key = JSON.stringify([stack, state, release, commit, noteOf(item)])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return [...groups.values()].flatMap((all) => {
    const [first] = all
    return first === undefined ? [] : { first, all }
  })
}

const sum = (all: readonly StackOnMachine[], key: 'running' | 'containers'): number =>
  all.reduce((total, item) => total + item[key], 0)

function columnsOf(io: Io): Column<Row>[] {
  const colors = colorsOf(io, 'stdout')
  return [
    { title: 'STACK', text: ({ first }) => first.stack, keep: true },
    {
      title: 'STATE',
      text: ({ first }) => first.state,
      paint: (text, { first }) => stateColor(colors, first.state)(text),
    },
    { title: 'RELEASE', text: ({ first }) => String(first.release ?? '') },
    {
      title: 'RUNNING',
      text: ({ all }) => `${sum(all, 'running')}/${sum(all, 'containers')}`,
      drop: 1,
    },
    {
      title: 'DEPLOYED',
      text: ({ first: { at = '' } }) =>
        Number.isNaN(Date.parse(at)) ? '' : humanAge(Date.parse(at) / 1000),
      drop: 3,
    },
    { title: 'BY', text: ({ first }) => first.by ?? '', drop: 4 },
    { title: 'COMMIT', text: ({ first }) => first.commit?.slice(0, 12) ?? '', drop: 5 },
    {
      title: 'MACHINES',
      text: ({ first: { swarm }, all }) =>
        swarm === undefined ? foldNames(all.map(({ machine }) => machine)) : `swarm ${swarm}`,
      keep: true,
    },
    { title: 'NOTE', text: ({ first }) => noteOf(first), drop: 2, wrap: true },
  ]
}

const byName = (one: string, other: string): number => (one === other ? 0 : one < other ? -1 : 1)

/** Sorts stacks in the order of the inventory, and then by name. */
function inOrder(items: readonly StackOnMachine[], known: readonly string[]): StackOnMachine[] {
  const place = ({ stack }: StackOnMachine): number => {
    const index = known.indexOf(stack)
    return index === -1 ? known.length : index
  }
  return items.toSorted((one, other) => place(one) - place(other) || byName(one.stack, other.stack))
}

export const stackLs = defineCommand({
  name: 'ls',
  aliases: ['list'],
  summary: 'List stacks and their state on machines',
  description:
    'List the stacks in the inventory, and stacks that were removed from it but are still on machines. The state comes from the containers and releases on the hosts; to compare them with the Compose files, use fleet plan. Without --on, all machines and all swarms that run stacks are queried.',
  targets: 'many',
  options: { timeout: commonOptions.timeout },
  answers: 'names',
  examples: ['fleet stack ls', 'fleet stack ls --on role=web --json'],
  async run({ fleet, io, options, targets, format }) {
    const { listMachines } = await import('../../operations/inventory/choose-machines.ts')
    const { collectOutcomes } = await import('../../operations/fan-out/collect-outcomes.ts')
    const { stacksOnMachine } = await import('../../operations/stacks/deployed/stack-states.ts')
    const { stacks } = await (await fleet.inventory()).read()
    const chosen = await listMachines(fleet, targets)
    const machines = chosen.filter(({ engine }) => engine !== 'none')
    const results = await collectOutcomes(
      fleet,
      machines,
      (machine, signal) => stacksOnMachine(fleet, stacks.values(), machine, signal),
      {
        timeoutMs: options.timeout === undefined ? defaultTimeoutMs : options.timeout * 1000,
        concurrency: targets.parallel,
      },
    )
    const isSelection = targets.machine !== undefined || targets.on.length > 0
    const onSwarms = isSelection ? undefined : await statesOnSwarms({ fleet, io, format })
    const items = inOrder(
      [
        ...results.outcomes.flatMap((outcome) => ('value' in outcome ? outcome.value : [])),
        ...(onSwarms?.states ?? []),
      ],
      [...stacks.keys()],
    )
    if (format.json) await writeRows(io, format, { rows: items, columns: [] })
    else {
      const rows = format.quiet ? uniqueStacks(items) : groupRows(items)
      await writeRows(io, format, {
        ...{ rows, columns: columnsOf(io) },
        name: ({ first }) => first.stack,
      })
    }
    const code = writeResults(io, results, format)
    return code === exitCodes.ok ? (onSwarms?.code ?? code) : code
  },
})

/** Returns one row for each stack. */
function uniqueStacks(items: readonly StackOnMachine[]): Row[] {
  const names = new Map(items.map((first) => [first.stack, first]))
  return [...names.values()].map((first) => ({ first, all: [first] }))
}
