import { type Column, writeRows } from '../../ui/table.ts'
import type { AllowedCaller } from '../../operations/machine/allow-caller.ts'
import { defineCommand, machinesArgument } from '../command.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'

const columns: readonly Column<AllowedCaller>[] = [
  { title: 'MACHINE', text: ({ name }) => name },
  { title: 'ADDED', text: ({ added }) => added.join(', ') },
  { title: 'SSH OPEN TO', text: ({ allowed }) => allowed.join(', ') },
]

export const allow = defineCommand({
  name: 'allow',
  summary: 'Open SSH of machines to your current address',
  description:
    'Open SSH of machines to the address that this computer has now, in the firewall that fleet keeps for them at their provider. Addresses that were let in before stay. Where the options say sshCidr, the entry is changed too.',
  arguments: { names: machinesArgument('the machines', 'required') },
  targets: 'many',
  answers: 'names',
  examples: ['fleet allow web-1', 'fleet allow --on role=web'],
  async run({ fleet, io, targets, format }) {
    const { namedMachines } = await import('../../operations/inventory/choose-machines.ts')
    const { allowCaller } = await import('../../operations/machine/allow-caller.ts')
    const machines = await namedMachines(fleet, targets)
    const outcomes = await workOnMachines(
      { fleet, io, format },
      machines,
      (machine, calls) => allowCaller({ ...fleet, signal: calls.signal }, machine, calls),
      { concurrency: targets.parallel },
    )
    const { values, code } = summarize({ io, format }, outcomes)
    await writeRows<AllowedCaller>(io, format, { rows: values, columns, name: ({ name }) => name })
    return code
  },
})
