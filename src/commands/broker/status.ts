import type { BrokerStatus, HostStatus } from '../../transport/broker/protocol.ts'
import { type Column, writeJson, writeRows } from '../../ui/table.ts'
import { defineCommand } from '../definition.ts'

const columns: readonly Column<HostStatus>[] = [
  { title: 'MACHINE', text: ({ machine }) => machine },
  { title: 'LOGIN', text: ({ user, address, port }) => `${user}@${address}:${port}` },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'USES', text: ({ uses }) => String(uses) },
]

export const brokerStatus = defineCommand({
  name: 'status',
  summary: 'Show the connections that are kept warm',
  answers: 'json',
  async run({ fleet, io, format }) {
    const status: BrokerStatus | undefined = await (await fleet.broker())?.status()
    if (format.json) writeJson(io, status ?? { hosts: [] })
    else if (status === undefined) io.stderr.write('the broker does not run\n')
    else {
      io.stderr.write(`the broker runs since ${status.started} as process ${status.pid}\n`)
      await writeRows(io, format, { rows: status.hosts, columns })
    }
  },
})
