import { UserError } from '../../errors.ts'
import type { LogSource } from '../../operations/fan-out/read-logs.ts'
import { any, defineCommand, required } from '../command.ts'
import { logOptions, logRange } from '../container/logs.ts'
import { swarmOfStack } from './on-swarm.ts'
import { writeLogsAndFailures } from '../container/write-logs.ts'

export const stackLogs = defineCommand({
  name: 'logs',
  summary: 'Show stack logs',
  description:
    "Show the logs of a stack's containers on all of its machines. Each line is prefixed with its source, and lines are sorted by time; with --follow, they appear as they are written.",
  arguments: {
    stack: required('stack', 'name of the stack', 'stack'),
    services: any('services', 'services in the stack (default: all)'),
  },
  options: logOptions,
  targets: 'many',
  allAtOnce: true,
  answers: 'json',
  examples: ['fleet stack logs shop', 'fleet stack logs -f --tail 10 shop web --on web-1'],
  async run({ fleet, io, args, options, targets, format }) {
    const { chooseStack } = await import('../../operations/stacks/deployed/choose-stack.ts')
    const { listStackRows } = await import('../../operations/stacks/deployed/stack-containers.ts')
    const { fanOutInOrder } = await import('../../operations/fan-out/fan-out.ts')
    const { readLogs } = await import('../../operations/fan-out/read-logs.ts')
    const swarm = await swarmOfStack({ fleet, targets }, args.stack)
    if (swarm !== undefined) {
      const { serviceNames } = await import('../../operations/swarm-stacks/swarm-stack-states.ts')
      const { showServiceLogs } = await import('../service/logs.ts')
      const names =
        args.services.length > 0
          ? args.services.map((service) => `${args.stack}_${service}`)
          : await serviceNames(fleet, swarm, args.stack)
      const call = { fleet, io, format, options, targets: { ...targets, machine: swarm.name } }
      return showServiceLogs(call, names)
    }
    const range = await logRange(options)
    const { name, machines } = await chooseStack(fleet, args.stack, targets)
    const { services } = args
    const found = await fanOutInOrder(
      machines,
      async (machine, signal): Promise<LogSource[]> => {
        const rows = await listStackRows(fleet, machine, [name], signal)
        const engine = await fleet.engine(machine)
        return rows
          .filter(({ service }) => services.length === 0 || services.includes(service))
          .map((row) => ({ machine: machine.name, container: row.name, engine }))
      },
      { signal: fleet.signal },
    )
    const sources = found.flatMap((outcome) => ('value' in outcome ? outcome.value : []))
    const failures: { machine: { name: string }; error: UserError }[] = found.filter(
      (outcome) => 'error' in outcome,
    )
    if (sources.length === 0 && failures.length === 0) {
      const what =
        services.length === 0 ? 'no containers' : `no containers for ${services.join(', ')}`
      throw new UserError('failed', `stack ${name} has ${what} on its machines`, {
        hint: `to list the stack's containers: fleet stack ps ${name}`,
      })
    }
    const lines = readLogs(sources, { ...range, signal: fleet.signal })
    return writeLogsAndFailures(io, lines, sources, {
      ...{ json: format.json, timestamps: options.timestamps, follow: options.follow },
      nameOf: ({ machine, container }) => `${machine} ${container}`,
      ...{ unread: failures, of: machines.length },
    })
  },
})
