import { UserError, exitCodes } from '../../errors.ts'
import type { PortProblem } from '../../operations/swarm/check-ports.ts'
import type { SwarmModule } from '../../operations/swarm/kernel-modules.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { writeFailure } from '../../ui/failure.ts'
import { writeRows } from '../../ui/table.ts'
import { any, defineCommand } from '../command.ts'
import { commonOptions } from '../options/common-options.ts'
import { defaultTimeoutMs } from '../multi/query-engines.ts'
import { chooseSwarms } from './read-states.ts'

/** The meaning of each connection state. */
const explanations: Readonly<Record<PortProblem['state'], string>> = {
  closed: 'no process is listening on the port',
  blocked: 'no answer: open the port',
  unknown: "not checked: the FROM machine's SSH server does not allow port forwarding",
}

/** What does not work on a node that lacks a kernel module. */
const effects: Readonly<Record<SwarmModule, string>> = {
  ip_vs: 'virtual IP addresses for services do not work, and ports are published only in host mode',
  vxlan: 'overlay networks do not work',
}

export const swarmCheck = defineCommand({
  name: 'check',
  summary: 'Check swarm member ports and kernels',
  description:
    'Check that each member of a swarm can connect to every manager on port 2377/tcp, and to every other member on port 7946/tcp. If connections fail, they are listed with the port to open, and the exit code is 1. UDP ports (7946 and 4789) are not checked. A warning lists members whose kernels do not support IPVS or VXLAN.',
  arguments: { swarms: any('swarms', 'swarm names (default: all)', 'swarm') },
  options: { timeout: commonOptions.timeout },
  answers: 'json',
  examples: ['fleet swarm check', 'fleet swarm check prod --json'],
  async run({ fleet, io, args, options, format }) {
    const { checkMembers } = await import('../../operations/swarm/check-ports.ts')
    const chosen = await chooseSwarms({ fleet }, args.swarms)
    const swarms = chosen.filter(({ id }) => id !== undefined)
    const timeoutMs = options.timeout === undefined ? defaultTimeoutMs : options.timeout * 1000
    const checks = await withProgress(
      io,
      format,
      'check',
      async (progress) => {
        progress('test connections between members')
        return Promise.all(swarms.map(({ name }) => checkMembers(fleet, name, { timeoutMs })))
      },
      { isMachine: false },
    )
    const rows = checks.flatMap(({ problems }) => problems)
    await writeRows<PortProblem>(io, format, {
      rows,
      columns: [
        { title: 'SWARM', text: ({ swarm }) => swarm, drop: 1 },
        { title: 'FROM', text: ({ from }) => from, keep: true },
        { title: 'TO', text: ({ to }) => to, keep: true },
        { title: 'ADDRESS', text: ({ address }) => address },
        { title: 'PORT', text: ({ port }) => `${port}/tcp`, keep: true },
        { title: 'PROBLEM', text: ({ state }) => explanations[state] },
      ],
      name: ({ from }) => from,
    })
    for (const { swarm, silent } of checks) {
      if (silent.length === 0) continue
      const why =
        silent.length === 1
          ? 'the engine is not responding, or is not a node of the swarm'
          : 'the engines are not responding, or are not nodes of the swarm'
      const message = `swarm ${swarm} could not be checked on ${foldNames(silent)}: ${why}`
      const hint = `to show the nodes: fleet swarm status ${swarm}`
      writeFailure(io, new UserError('failed', message, { hint }), format.json)
    }
    for (const { swarm, missingModules } of checks) {
      for (const [module, effect] of Object.entries(effects)) {
        const names = missingModules.flatMap((one) => (one.module === module ? one.machine : []))
        if (names.length === 0) continue
        io.stderr.write(
          `warning: swarm ${swarm}: no ${module} kernel module on ${foldNames(names)}; without it, ${effect}\n`,
        )
      }
    }
    if (!format.json) {
      for (const { swarm, connections, members, problems } of checks) {
        io.stderr.write(
          `${swarm}: ${connections - problems.length} of ${connections} connections between ${members} members work\n`,
        )
      }
    }
    const isWell = rows.length === 0 && checks.every(({ silent }) => silent.length === 0)
    return isWell ? exitCodes.ok : exitCodes.failed
  },
})
