import type { Machine } from '../../machine/machine.ts'
import { exitCodes } from '../../errors.ts'
import { writeJson, writeRows } from '../../ui/table.ts'
import { any, defineCommand, machineArgument } from '../command.ts'
import { nothingChanged, summarize } from '../multi/work-on-machines.ts'

const pairsOf = ({ labels = {} }: Machine): string[] =>
  Object.entries(labels).map(([key, value]) => `${key}=${value}`)

export const label = defineCommand({
  name: 'label',
  summary: 'Show, set or remove machine labels',
  description:
    'Show, set or remove labels on a machine, or on several machines with --on. If any machine cannot be changed, none are changed.',
  arguments: {
    name: machineArgument('name of the machine', 'required'),
    labels: any('labels', 'key=value to set a label, key- to remove it', 'label'),
  },
  targets: 'many',
  allAtOnce: true,
  answers: 'json',
  examples: [
    'fleet label web-1 role=web env=prod',
    'fleet label web-1 env-',
    "fleet label --on 'web-*' env=prod",
  ],
  async run({ fleet, io, args, targets, format }) {
    const { choosesMany, namedMachines } =
      await import('../../operations/inventory/choose-machines.ts')
    const { labelMachines, parseLabelChange } =
      await import('../../operations/inventory/label-machine.ts')
    const change = parseLabelChange(args.labels)
    const machines = await namedMachines(fleet, targets)
    const outcomes =
      args.labels.length === 0
        ? machines.map((machine) => ({ machine, value: machine }))
        : await labelMachines(fleet, machines, change)
    if (!choosesMany(targets)) {
      const { onlyValue } = await import('../../operations/inventory/edit-entries.ts')
      const machine = onlyValue(outcomes)
      if (format.json) writeJson(io, machine.labels ?? {})
      else for (const pair of pairsOf(machine)) io.stdout.write(`${pair}\n`)
      return exitCodes.ok
    }
    const { values, code } = summarize({ io, format }, outcomes)
    if (code !== exitCodes.ok) return nothingChanged({ io, format })
    if (format.json) {
      writeJson(
        io,
        values.map(({ name, labels = {} }) => ({ name, labels })),
      )
      return code
    }
    await writeRows<Machine>(io, format, {
      rows: values,
      columns: [
        { title: 'MACHINE', text: ({ name }) => name, keep: true },
        { title: 'LABELS', text: (machine) => pairsOf(machine).join(',') },
      ],
    })
    return code
  },
})
