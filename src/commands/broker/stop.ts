import { defineCommand } from '../definition.ts'

export const brokerStop = defineCommand({
  name: 'stop',
  summary: 'Close the connections that are kept warm, and what runs over them',
  description:
    'Close the connections that are kept warm, and end what runs over them. The next command that needs a machine starts the broker again; with FLEET_BROKER=off in the environment, every command connects by itself.',
  async run({ fleet, io }) {
    const status = await (await fleet.broker())?.stop()
    io.stderr.write(
      status === undefined ? 'the broker does not run\n' : `stopped process ${status.pid}\n`,
    )
  },
})
