import { UserError } from '../../errors.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'

export const active = defineCommand({
  name: 'active',
  summary: 'Print the active machine',
  description: 'Print the default machine: $FLEET_MACHINE if set, otherwise the active machine.',
  answers: 'json',
  async run({ fleet, io, format }) {
    const { findActive, overrideOf } = await import('../../operations/inventory/choose-machines.ts')
    const inventory = await (await fleet.inventory()).read()
    const machine = await findActive(fleet, inventory)
    if (machine === undefined) {
      if (inventory.machines.size === 0) {
        const { noMachines } = await import('../../machine/unknown-name.ts')
        throw noMachines()
      }
      throw new UserError('unknown-machine', 'no machine is active', {
        hint: 'to set the active machine: fleet use NAME',
      })
    }
    const { name } = machine
    const chosen = await (await fleet.active()).current()
    const overrides =
      chosen !== undefined && overrideOf(fleet, chosen) !== undefined ? chosen : undefined
    if (format.json) writeJson(io, { name, overrides })
    else {
      io.stdout.write(`${name}\n`)
      if (overrides === undefined) return
      io.stderr.write(`$FLEET_MACHINE is ${name} and overrides the active machine, ${overrides}\n`)
    }
  },
})
