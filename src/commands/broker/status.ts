import type { HostStatus, SocketStatus } from '../../broker/protocol.ts'
import { type Column, writeJson, writeRows } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'

const columns: readonly Column<HostStatus>[] = [
  { title: 'MACHINE', text: ({ machine }) => machine, keep: true },
  { title: 'LOGIN', text: ({ user, address, port }) => `${user}@${address}:${port}` },
  { title: 'STATE', text: ({ state }) => state },
  { title: 'USES', text: ({ uses }) => String(uses), drop: 1 },
]

/** The message for a broker that was started by another build of fleet. */
export const otherBuild =
  'a broker started by another version of fleet is shutting down; it will exit when its last command finishes\n'

function describeSocket({ machine, path, context, holders }: SocketStatus): string {
  const wanting = [
    ...(context ? ['a Docker context'] : []),
    ...holders.map((pid) => `process ${pid}`),
  ]
  return `engine socket for ${machine}, used by ${wanting.join(', ') || 'a command'}: ${path}\n`
}

export const brokerStatus = defineCommand({
  name: 'status',
  summary: 'Show open connections, engine sockets and forwarded ports',
  answers: 'json',
  async run({ fleet, io, format }) {
    const status = await (await fleet.broker())?.status()
    const isThere = status !== undefined && status !== 'retired'
    if (format.json) writeJson(io, isThere ? status : { hosts: [], sockets: [], forwards: [] })
    else if (status === undefined) io.stderr.write('the broker is not running\n')
    else if (status === 'retired') io.stderr.write(otherBuild)
    else {
      io.stderr.write(
        `the broker has been running since ${status.started} as process ${status.pid}\n`,
      )
      await writeRows(io, format, { rows: status.hosts, columns })
      for (const socket of status.sockets) io.stderr.write(describeSocket(socket))
      if (status.forwards.length > 0) {
        const locals = status.forwards.map(({ local }) => local).join(', ')
        io.stderr.write(`forwarded ports (run fleet forward ls for details): ${locals}\n`)
      }
    }
  },
})
