import { parseMachineName } from '../../machine/name.ts'
import { defineCommand, required } from '../command.ts'

export const rename = defineCommand({
  name: 'rename',
  summary: 'Rename a machine',
  description:
    'Rename a machine in the inventory, and update entries that use it as a jump host. The host itself and its provider tags are not changed.',
  arguments: {
    name: required('name', 'current name of the machine', 'machine'),
    to: required('new-name', 'new name'),
  },
  examples: ['fleet rename web-1 shop-1'],
  async run({ fleet, io, args }) {
    const { renameMachine } = await import('../../operations/inventory/set-machine.ts')
    const to = parseMachineName(args.to)
    await renameMachine(fleet, args.name, to)
    const { describeRecreation } = await import('../../operations/machine/remove-machine.ts')
    const [line] = describeRecreation(await (await fleet.inventory()).read(), [args.name])
    io.stderr.write(`renamed ${args.name} to ${to}\n${line ? `  ${line}\n` : ''}`)
  },
})
