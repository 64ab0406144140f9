import { UserError } from '../../errors.ts'
import { any, defineCommand, flag } from '../command.ts'

export const stop = defineCommand({
  name: 'stop',
  summary: 'Stop forwarding ports',
  description:
    'Stop forwarding ports and close their connections. Specify local ports as 8080 or 127.0.0.1:8080; a machine name means all ports forwarded to that machine.',
  arguments: {
    forwards: any('forwards', 'local ports, sockets or machines', 'forward'),
  },
  options: { all: flag('--all', 'stop forwarding all ports') },
  examples: ['fleet forward stop 8080', 'fleet forward stop web-1', 'fleet forward stop --all'],
  async run({ fleet, io, args, options }) {
    if (options.all === args.forwards.length > 0) {
      throw new UserError('usage', 'specify local ports or machines, or --all', {
        hint: 'to list the forwarded ports: fleet forward ls',
      })
    }
    const { chooseForwards } = await import('../../operations/forward/keep-forwards.ts')
    const broker = await fleet.broker()
    const known = (await broker?.forwards()) ?? []
    const chosen = options.all ? known : chooseForwards(known, args.forwards)
    const locals = chosen.map(({ local }) => local)
    if (locals.length > 0) await broker?.stopForwards(locals)
    for (const local of locals) io.stderr.write(`stopped forwarding ${local}\n`)
    if (locals.length === 0) io.stderr.write('no ports are forwarded\n')
  },
})
