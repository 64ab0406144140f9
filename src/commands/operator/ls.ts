import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'

interface Row {
  readonly name: string
  /** Selectors of the machines that the key is installed on; empty means all machines. */
  readonly on: readonly string[]
  readonly fingerprint: string
}

const columns: readonly Column<Row>[] = [
  { title: 'OPERATOR', text: ({ name }) => name, keep: true },
  { title: 'MACHINES', text: ({ on }) => (on.length === 0 ? 'all' : on.join(' ')) },
  { title: 'KEY', text: ({ fingerprint }) => fingerprint, drop: 1 },
]

export const operatorLs = defineCommand({
  name: 'ls',
  summary: 'List operators and their keys',
  answers: 'names',
  async run({ fleet, io, format }) {
    const { operatorKey } = await import('../../machine/operators.ts')
    const { fingerprint } = await import('../../transport/ssh/host-keys/host-key.ts')
    const { operators } = await (await fleet.inventory()).read()
    const rows = Array.from(operators, ([name, entry]): Row => ({
      name,
      on: typeof entry === 'string' ? [] : entry.on,
      fingerprint: fingerprint(operatorKey(entry)),
    }))
    await writeRows(io, format, { rows, columns, name: ({ name }) => name })
  },
})
