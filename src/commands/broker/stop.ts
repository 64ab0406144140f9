import { defineCommand } from '../command.ts'
import { otherBuild } from './status.ts'

export const brokerStop = defineCommand({
  name: 'stop',
  summary: 'Stop the broker and close its connections',
  description:
    "Stop fleet's background process (the broker), close its connections, and stop everything that uses them. The next command that needs a machine starts the broker again, reopens the engine sockets for shells and Docker contexts, and forwards the same ports again. With FLEET_BROKER=off in the environment, every command opens its own connections.",
  async run({ fleet, io }) {
    const status = await (await fleet.broker())?.stop()
    if (status === undefined) io.stderr.write('the broker is not running\n')
    else if (status === 'retired') io.stderr.write(otherBuild)
    else if (status === 'killed') io.stderr.write('killed the broker because it did not respond\n')
    else {
      io.stderr.write(`stopped the broker (process ${status.pid})\n`)
      const kept = status.sockets.filter(({ context, holders }) => context || holders.length > 0)
      const names = [...new Set(kept.map(({ machine }) => machine))].join(', ')
      if (kept.length > 0)
        io.stderr.write(
          `to reach ${names} again from shells and Docker contexts, run a command that needs a machine, such as fleet ps\n`,
        )
      if (status.forwards.length > 0) {
        const locals = status.forwards.map(({ local }) => local).join(', ')
        io.stderr.write(
          `${locals} will be forwarded again after the next command that needs a machine; to prevent that: fleet forward stop --all\n`,
        )
      }
    }
  },
})
