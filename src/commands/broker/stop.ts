import { defineCommand } from '../command.ts'
import { otherBuild } from './status.ts'

export const brokerStop = defineCommand({
  name: 'stop',
  summary: 'Close the connections that are kept warm, and what runs over them',
  description:
    'Close the connections that are kept warm, and end what runs over them. The next command that needs a machine starts the broker again, and with it the engine sockets of shells and docker contexts; with FLEET_BROKER=off in the environment, every command connects by itself.',
  async run({ fleet, io }) {
    const status = await (await fleet.broker())?.stop()
    if (status === undefined) io.stderr.write('the broker does not run\n')
    else if (status === 'retired') io.stderr.write(otherBuild)
    else if (status === 'killed') io.stderr.write('killed the broker, which did not answer\n')
    else {
      io.stderr.write(`stopped process ${status.pid}\n`)
      const kept = status.sockets.filter(({ context, holders }) => context || holders.length > 0)
      const names = [...new Set(kept.map(({ machine }) => machine))].join(', ')
      if (kept.length > 0)
        io.stderr.write(
          `shells and docker contexts reach ${names} again after the next command that needs a machine: fleet ps\n`,
        )
    }
  },
})
