import { UserError } from '../../errors.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, required } from '../command.ts'

export const use = defineCommand({
  name: 'use',
  summary: 'Make a machine the active one',
  description:
    'Make a machine the one that plain commands use. "-" goes back to the one before. $FLEET_MACHINE, where it is set, overrides the active machine.',
  arguments: { name: required('name', 'the machine, or - for the one before', 'machine') },
  answers: 'json',
  examples: ['fleet use web-1', 'fleet use -'],
  async run({ fleet, io, args, format }) {
    const { findMachine, overrideOf } =
      await import('../../operations/inventory/choose-machines.ts')
    const active = await fleet.active()
    const name = args.name === '-' ? await active.previous() : args.name
    if (name === undefined) throw new UserError('usage', 'no machine was active before')
    const machine = findMachine(await (await fleet.inventory()).read(), name)
    await active.use(machine.name)
    const overriddenBy = overrideOf(fleet, machine.name)
    if (format.json) writeJson(io, { name: machine.name, overriddenBy })
    else if (overriddenBy === undefined) io.stderr.write(`${machine.name} is active\n`)
    else {
      io.stderr.write(
        `${machine.name} is active, but $FLEET_MACHINE overrides it: commands in this shell use ${overriddenBy} until you unset FLEET_MACHINE\n`,
      )
    }
  },
})
