import { writeJson } from '../../ui/table.ts'
import { defineCommand, machinesArgument } from '../command.ts'

export const trustAlias = defineCommand({
  name: 'alias',
  summary: 'Trust SSH aliases for machines',
  description:
    "Allow fleet to connect to machines with the settings in your own SSH configuration. A machine's inventory entry can refer to a Host in ~/.ssh/config (sshAlias). fleet uses this alias only if you adopted the machine on this computer or trusted the alias, because your SSH configuration can run programs (ProxyCommand, Match exec) or give access to internal networks, and someone else may have written the inventory. Pinned host keys are always checked.",
  arguments: { names: machinesArgument('machine names', 'required') },
  targets: 'many',
  answers: 'json',
  examples: ['fleet trust alias web-1', 'fleet trust alias --all', 'fleet trust rm web-1'],
  async run({ fleet, io, targets, format }) {
    const { namedMachines } = await import('../../operations/inventory/choose-machines.ts')
    const { trustAliases } = await import('../../operations/connect/ssh-alias.ts')
    const machines = await namedMachines(fleet, targets)
    const aliases = [...new Set(machines.flatMap(({ host }) => host?.sshAlias ?? []))]
    await trustAliases(fleet, aliases)
    if (format.json) writeJson(io, aliases)
    else if (aliases.length === 0) io.stderr.write('none of the machines has an SSH alias\n')
    else
      io.stderr.write(`trusted for ${(await fleet.inventory()).location}: ${aliases.join(', ')}\n`)
  },
})
