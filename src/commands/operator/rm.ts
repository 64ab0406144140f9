import { defineCommand, required } from '../command.ts'

export const operatorRm = defineCommand({
  name: 'rm',
  summary: 'Take an operator out of the inventory; fleet apply revokes the key',
  arguments: { name: required('name', 'the operator', 'operator') },
  async run({ fleet, io, args }) {
    const { removeOperator } = await import('../../operations/operators/add-operator.ts')
    await removeOperator(fleet, args.name)
    io.stderr.write(`${args.name} is no operator any more; to revoke the key: fleet apply\n`)
  },
})
