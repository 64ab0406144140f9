import { type Column, writeRows } from '../../ui/table.ts'
import type { AllowedCaller } from '../../operations/machine/allow-caller.ts'
import { defineCommand, machinesArgument } from '../command.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'

const columns: readonly Column<AllowedCaller>[] = [
  { title: 'MACHINE', text: ({ name }) => name, keep: true },
  { title: 'ADDED', text: ({ added }) => added.join(', '), keep: true },
  { title: 'SSH OPEN TO', text: ({ allowed }) => allowed.join(', ') },
]

export const allow = defineCommand({
  name: 'allow',
  summary: 'Allow SSH from your current IP address',
  description:
    "Allow SSH from this computer's current IP address in the provider firewall that fleet manages for the machines. Addresses that are already allowed stay allowed. If an inventory entry sets sshCidr, the address is also added there.",
  arguments: { names: machinesArgument('machine names', 'required') },
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
      (machine, calls) => allowCaller(fleet.with({ signal: calls.signal }), machine, calls),
      { concurrency: targets.parallel },
    )
    const { values, code } = summarize({ io, format }, outcomes)
    await writeRows<AllowedCaller>(io, format, { rows: values, columns, name: ({ name }) => name })
    return code
  },
})
