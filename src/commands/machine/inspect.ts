import { writeJson } from '../../ui/table.ts'
import { defineCommand, machinesArgument } from '../command.ts'
import { warnUntrusted } from '../trust/warn-untrusted.ts'

export const inspect = defineCommand({
  name: 'inspect',
  summary: 'Show machine entries in the inventory',
  description:
    'Print complete machine entries from the inventory as YAML, or as a JSON array with --json or --on.',
  arguments: { names: machinesArgument('machine names', 'required') },
  targets: 'many',
  allAtOnce: true,
  answers: 'json',
  examples: [
    'fleet inspect web-1',
    "fleet inspect web-1 --json | jq '.[0].host.address'",
    "fleet inspect --on role=web | jq '.[].host.address'",
  ],
  async run({ fleet, io, targets, format }) {
    const { choosesMany, namedMachines } =
      await import('../../operations/inventory/choose-machines.ts')
    const machines = await namedMachines(fleet, targets)
    await warnUntrusted(fleet, io)
    const { findOtherClient } = await import('../../operations/connect/ssh-client.ts')
    const clients = await Promise.all(machines.map((machine) => findOtherClient(fleet, machine)))
    if (format.json || choosesMany(targets)) {
      writeJson(
        io,
        machines.map(({ name, ...entry }, index) => ({ name, ...entry, ...clients[index] })),
      )
      return
    }
    const { formatMachines } = await import('../../state/yaml/render.ts')
    io.stdout.write(formatMachines(machines))
    machines.forEach(({ name }, index) => {
      const client = clients[index]
      if (client !== undefined)
        io.stdout.write(
          `# SSH client for ${name}: ${client.sshClient} (${client.sshClientReason})\n`,
        )
    })
  },
})
