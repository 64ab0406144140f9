import { UserError } from '../../errors.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, required } from '../command.ts'

export const use = defineCommand({
  name: 'use',
  summary: 'Set the active machine',
  description:
    'Set the active machine, which commands use by default. "-" switches back to the previous machine. If set, $FLEET_MACHINE overrides the active machine.',
  arguments: {
    name: required('name', 'name of the machine, or - for the previous one', 'machine'),
  },
  answers: 'json',
  examples: ['fleet use web-1', 'fleet use -'],
  async run({ fleet, io, args, format }) {
    const { findMachine, overrideOf } =
      await import('../../operations/inventory/choose-machines.ts')
    const active = await fleet.active()
    const name = args.name === '-' ? await active.previous() : args.name
    if (name === undefined) throw new UserError('usage', 'there is no previous machine')
    const machine = findMachine(await (await fleet.inventory()).read(), name)
    await active.use(machine.name)
    const overriddenBy = overrideOf(fleet, machine.name)
    if (format.json) writeJson(io, { name: machine.name, overriddenBy })
    else if (overriddenBy === undefined)
      io.stderr.write(`${machine.name} is now the active machine\n`)
    else {
      io.stderr.write(
        `${machine.name} is now the active machine, but $FLEET_MACHINE overrides it: commands in this shell will use ${overriddenBy} until you unset FLEET_MACHINE\n`,
      )
    }
  },
})
