import { UserError } from '../../errors.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand } from '../definition.ts'

export const active = defineCommand({
  name: 'active',
  summary: 'Print the active machine',
  answers: 'json',
  async run({ fleet, io, format }) {
    const { findActive } = await import('../../operations/choose-machines.ts')
    const machine = await findActive(fleet, await (await fleet.inventory()).read())
    if (machine === undefined) {
      throw new UserError('unknown-machine', 'no machine is active', { hint: 'fleet use NAME' })
    }
    const { name } = machine
    if (format.json) writeJson(io, { name })
    else io.stdout.write(`${name}\n`)
  },
})
