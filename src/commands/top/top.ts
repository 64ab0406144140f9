import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { shouldStyle } from '../../ui/color.ts'
import { defineCommand, flag, machinesArgument } from '../command.ts'
import { chooseNamed } from '../multi/choose-named.ts'

/**
 * Resolves to the initialized swarms that any of the machines belong to, and whether any member of each swarm is
 * protected.
 */
async function swarmsOf(
  { swarms, machines }: Pick<Inventory, 'swarms' | 'machines'>,
  chosen: readonly Machine[],
): Promise<readonly { readonly name: string; readonly isProtected: boolean }[]> {
  const { rolesOf } = await import('../../machine/swarms.ts')
  return [...swarms.values()]
    .filter((swarm) => swarm.id !== undefined && rolesOf(swarm, chosen).size > 0)
    .map((swarm) => {
      const members = rolesOf(swarm, machines.values())
      const isProtected = [...machines.values()].some(
        (machine) => machine.protected === true && members.has(machine.name),
      )
      return { name: swarm.name, isProtected }
    })
}

export const top = defineCommand({
  name: 'top',
  summary: 'Show a live dashboard of machines and containers',
  description:
    'Show a live, full-screen view of machines, containers, images, stacks, swarm services and events. Without names or options, all machines are shown. Press ? to list the keys for filtering, sorting, grouping, details, logs, shells, actions and fleet commands. A machine that does not answer stays in the list, shown in gray with the age of its data, and fleet reconnects to it automatically.',
  arguments: { names: machinesArgument('machine names (default: all)', 'optional') },
  options: {
    readOnly: flag('--read-only', 'disable keys that make changes or open a shell'),
  },
  targets: 'many',
  allAtOnce: true,
  examples: ['fleet top', 'fleet top web-1 web-2', 'fleet top --on role=web --read-only'],
  async run({ fleet, io, options, targets }) {
    const { listMachines } = await import('../../operations/inventory/choose-machines.ts')
    const machines =
      targets.names.length > 0
        ? await chooseNamed({ fleet, targets }, 'top')
        : await listMachines(fleet, targets)
    if (io.stdin.isTTY !== true || !shouldStyle(io, 'stdout')) {
      throw new UserError(
        'usage',
        'fleet top requires a terminal that supports control sequences',
        {
          hint: 'to print the information once: fleet status, fleet ps --all or fleet stats --all --no-stream',
        },
      )
    }
    if (machines.length === 0) {
      const { noMachines } = await import('../../machine/unknown-name.ts')
      throw noMachines()
    }
    const { stacks, ...inventory } = await (await fleet.inventory()).read()
    const { runDashboard } = await import('./run.ts')
    const swarms = await swarmsOf(inventory, machines)
    await runDashboard({ fleet, io, machines, stacks, swarms, isReadOnly: options.readOnly })
  },
})
