import { UserError } from '../../errors.ts'
import { confirm, canPrompt } from '../../ui/prompt.ts'
import { writeJson } from '../../ui/table.ts'
import { defineCommand, required } from '../definition.ts'
import { yesOption } from './confirmation.ts'

export const rekey = defineCommand({
  name: 'rekey',
  summary: 'Accept the new host key of a machine',
  description:
    'Accept the new host key of a machine, after its system was installed anew for instance. It shows both fingerprints and asks.',
  arguments: { name: required('name', 'the machine', 'machine') },
  options: { yes: yesOption },
  answers: 'json',
  async run({ fleet, io, args, options, format }) {
    const { findMachine } = await import('../../operations/choose-machines.ts')
    const { rekeyMachine } = await import('../../operations/rekey-machine.ts')
    const machine = findMachine(await (await fleet.inventory()).read(), args.name)
    const { before, after } = await rekeyMachine(fleet, machine, async (change) => {
      if (!format.json || !options.yes) {
        io.stderr.write(`${machine.name} showed:  ${change.before.join(', ')}\n`)
        io.stderr.write(`and shows now:  ${change.after}\n`)
      }
      if (options.yes) return true
      if (canPrompt(io)) return confirm(io, 'Accept the new key?')
      throw new UserError('usage', 'this asks first, and there is no terminal to ask on', {
        machine: machine.name,
        hint: 'compare the fingerprints, then add --yes',
      })
    })
    if (format.json) writeJson(io, { name: machine.name, before, after })
    else io.stderr.write(`${machine.name}: ${after} is pinned\n`)
  },
})
