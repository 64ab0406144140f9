import { requireHost } from '../../machine/machine.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand, machinesArgument } from '../command.ts'

interface Row {
  readonly name: string
  readonly address: string
}

const nameColumn: Column<Row> = { title: 'MACHINE', text: (row) => row.name, keep: true }
const addressColumn: Column<Row> = { title: 'ADDRESS', text: (row) => row.address, keep: true }

export const ip = defineCommand({
  name: 'ip',
  summary: 'Print machine addresses',
  arguments: {
    names: machinesArgument('machine names (default: the active machine)', 'optional'),
  },
  targets: 'many',
  allAtOnce: true,
  answers: 'json',
  examples: ['fleet ip web-1', 'ping $(fleet ip)'],
  async run({ fleet, io, targets, format }) {
    const { namedMachines } = await import('../../operations/inventory/choose-machines.ts')
    const machines = await namedMachines(fleet, targets)
    const rows: Row[] = machines.map((machine) => ({
      name: machine.name,
      address: requireHost(machine).address ?? '127.0.0.1',
    }))
    await writeRows(io, format, {
      rows,
      columns: targets.on.length > 0 ? [nameColumn, addressColumn] : [addressColumn],
    })
  },
})
