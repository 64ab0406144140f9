import type { ForwardStatus } from '../../broker/protocol.ts'
import { humanAge } from '../../ui/human-units.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'
import { forwardColumns } from './columns.ts'

const columns: readonly Column<ForwardStatus>[] = [
  ...forwardColumns,
  { title: 'CONNECTIONS', text: ({ connections }) => String(connections), drop: 1 },
  {
    title: 'LAST ERROR',
    text: ({ error }) =>
      error === undefined ? '' : `${humanAge(Date.parse(error.at) / 1000)}: ${error.message}`,
    wrap: true,
  },
]

export const ls = defineCommand({
  name: 'ls',
  summary: 'List the ports that the broker forwards',
  description:
    "List the ports that fleet's background process (the broker) forwards, with the error if the last connection failed. If the broker was stopped or killed, this command restarts it, and the same ports are forwarded again.",
  answers: 'json',
  async run({ fleet, io, format }) {
    const broker = await fleet.broker()
    const rows = (await broker?.forwards()) ?? []
    const none =
      broker === undefined
        ? 'without the broker, ports are forwarded only while fleet forward is running\n'
        : 'no ports are forwarded\n'
    if (rows.length === 0 && !format.json) io.stderr.write(none)
    else await writeRows(io, format, { rows, columns })
  },
})
