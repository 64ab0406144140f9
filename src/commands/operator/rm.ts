import { defineCommand, required } from '../command.ts'

export const operatorRm = defineCommand({
  name: 'rm',
  summary: 'Remove an operator',
  description:
    'Remove an operator from the inventory. To remove their key from the machines, run fleet apply afterwards.',
  arguments: { name: required('name', 'name of the operator', 'operator') },
  async run({ fleet, io, args }) {
    const { removeOperator } = await import('../../operations/operators/add-operator.ts')
    await removeOperator(fleet, args.name)
    io.stderr.write(
      `removed operator ${args.name}; to remove their key from machines: fleet apply\n`,
    )
  },
})
