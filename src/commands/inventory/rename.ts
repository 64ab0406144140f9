import { parseMachineName } from '../../machine/name.ts'
import { defineCommand, required } from '../command.ts'

export const rename = defineCommand({
  name: 'rename',
  summary: 'Give a machine another name',
  description:
    'Give a machine another name in the inventory, also where others are reached through it. Nothing on its host changes, and the tags that it has at its provider stay.',
  arguments: {
    name: required('name', 'the machine', 'machine'),
    to: required('new-name', 'what to call it from now on'),
  },
  examples: ['fleet rename web-1 shop-1'],
  async run({ fleet, io, args }) {
    const { renameMachine } = await import('../../operations/inventory/set-machine.ts')
    const to = parseMachineName(args.to)
    await renameMachine(fleet, args.name, to)
    const { describeWishes } = await import('../../operations/machine/remove-machine.ts')
    const [wish] = describeWishes(await (await fleet.inventory()).read(), [args.name])
    io.stderr.write(`${args.name} is ${to} now\n${wish ? `  ${wish}\n` : ''}`)
  },
})
