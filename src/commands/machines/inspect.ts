import { writeJson } from '../../ui/table.ts'
import { defineCommand, several } from '../definition.ts'
import { tellUntrusted } from '../trust/tell-untrusted.ts'

export const inspect = defineCommand({
  name: 'inspect',
  summary: 'Print what the inventory says of machines',
  description: 'Print what the inventory says of machines: as YAML, or with --json as an array.',
  arguments: { names: several('names', 'the machines', 'machine') },
  answers: 'json',
  examples: ['fleet inspect web-1', 'fleet inspect web-1 --json | jq .[0].host.address'],
  async run({ fleet, io, args, format }) {
    const { findMachine } = await import('../../operations/choose-machines.ts')
    const inventory = await (await fleet.inventory()).read()
    await tellUntrusted(fleet, io)
    const machines = args.names.map((name) => findMachine(inventory, name))
    if (format.json) {
      writeJson(
        io,
        machines.map(({ name, ...entry }) => ({ name, ...entry })),
      )
      return
    }
    const { formatMachines } = await import('../../state/format-machines.ts')
    io.stdout.write(formatMachines(machines))
  },
})
