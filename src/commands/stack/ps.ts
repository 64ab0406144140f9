import type { StackContainerRow } from '../../operations/stacks/deployed/stack-containers.ts'
import { colorsOf, stateColor } from '../../ui/color.ts'
import { writeResults } from '../../ui/failure.ts'
import type { Io } from '../../ui/io.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { type Invocation, any, defineCommand } from '../command.ts'
import { mergeIpFamilies, portsText } from '../container/fields.ts'
import { referenceOf } from '../container/references.ts'
import { defaultTimeoutMs, machineColumn } from '../multi/query-engines.ts'
import { commonOptions } from '../options/common-options.ts'
import { swarmOfStack } from './on-swarm.ts'

const healthOf = ({ state, status }: StackContainerRow): string =>
  status.includes('(unhealthy)') ? 'unhealthy' : state

function columnsOf(io: Io): Column<StackContainerRow>[] {
  const colors = colorsOf(io, 'stdout')
  return [
    machineColumn,
    { title: 'STACK', text: ({ stack }) => stack, keep: true },
    { title: 'SERVICE', text: ({ service }) => service, keep: true },
    { title: 'CONTAINER ID', text: ({ id }) => id.slice(0, 12), drop: 3 },
    { title: 'NAME', text: ({ name }) => name, drop: 4 },
    { title: 'IMAGE', text: ({ image }) => image, drop: 2 },
    {
      title: 'STATUS',
      text: ({ status }) => status,
      paint: (text, row) => stateColor(colors, healthOf(row))(text),
    },
    {
      title: 'PORTS',
      text: ({ ports }) => portsText(io.stdout.isTTY ? mergeIpFamilies(ports) : ports),
      drop: 1,
    },
  ]
}

/** Resolves to the tasks of the named stacks that are deployed to swarms. */
async function tasksOnSwarms(
  context: Pick<Invocation, 'fleet' | 'targets'>,
  names: readonly string[],
): Promise<readonly StackContainerRow[]> {
  const { stackTasks } = await import('../../operations/swarm-stacks/swarm-stack-states.ts')
  const rows = names.map(async (name) => {
    const swarm = await swarmOfStack(context, name)
    return swarm === undefined ? [] : stackTasks(context.fleet, swarm, name)
  })
  return (await Promise.all(rows)).flat()
}

export const stackPs = defineCommand({
  name: 'ps',
  summary: 'List the containers in stacks',
  description:
    'List the containers in stacks, including stopped containers. Without names, the containers in all stacks in the inventory are listed. With --quiet, only IDs are printed, as MACHINE/ID.',
  arguments: { stacks: any('stacks', 'stack names (default: all)', 'stack') },
  options: { timeout: commonOptions.timeout },
  targets: 'many',
  answers: 'names',
  examples: ['fleet stack ps', 'fleet stack ps shop --on web-1'],
  async run({ fleet, io, args, options, targets, format }) {
    const { chooseStack, stacksWithMachines } =
      await import('../../operations/stacks/deployed/choose-stack.ts')
    const { listStackRows, stacksByMachine } =
      await import('../../operations/stacks/deployed/stack-containers.ts')
    const { collectOutcomes } = await import('../../operations/fan-out/collect-outcomes.ts')
    const inventory = await (await fleet.inventory()).read()
    const { stacks, machines: all } = inventory
    const isNamed = args.stacks.length > 0
    const names = isNamed ? [...new Set(args.stacks)] : [...stacks.keys()]
    const onSwarms = await tasksOnSwarms({ fleet, targets }, names)
    const onMachines = isNamed
      ? names.filter((name) => stacks.get(name)?.swarm === undefined)
      : stacksWithMachines(inventory)
    const chosen = await Promise.all(onMachines.map((name) => chooseStack(fleet, name, targets)))
    const byMachine = stacksByMachine(chosen)
    const machines = [...all.values()].filter((machine) => byMachine.has(machine))
    const results = await collectOutcomes(
      fleet,
      machines,
      (machine, signal) => listStackRows(fleet, machine, byMachine.get(machine) ?? [], signal),
      {
        timeoutMs: options.timeout === undefined ? defaultTimeoutMs : options.timeout * 1000,
        concurrency: targets.parallel,
      },
    )
    const rows = [
      ...results.outcomes.flatMap((outcome) => ('value' in outcome ? outcome.value : [])),
      ...onSwarms,
    ]
    await writeRows(io, format, {
      ...{ rows, columns: columnsOf(io) },
      name: ({ machine, id }) => referenceOf(machine, id.slice(0, 12)),
    })
    return writeResults(io, results, format)
  },
})
