import { UserError, exitCodes } from '../../errors.ts'
import type { SwarmNodeState, SwarmSummary } from '../../operations/swarm/swarm-states.ts'
import { colorsOf, stateColor } from '../../ui/color.ts'
import { writeFailure } from '../../ui/failure.ts'
import { writeRows } from '../../ui/table.ts'
import { any, defineCommand } from '../command.ts'
import { commonOptions } from '../options/common-options.ts'
import { readStates } from './read-states.ts'

/** Why the nodes of a swarm are unknown, and the next step, keyed by the state of the swarm. */
const explanations: Readonly<
  Partial<Record<SwarmSummary['state'], readonly [why: string, hint: string]>>
> = {
  'no-leader': [
    'has no leader: most of its managers are not reachable',
    'start the other managers; if they are permanently lost, run fleet swarm recover SWARM',
  ],
  unreachable: ['has no reachable manager', 'to check the machines: fleet status --all'],
  unknown: ['has no members among the machines in the inventory', 'to see the problem: fleet plan'],
  'not-initialized': ['is not initialized', 'to initialize it: fleet apply'],
}

/** Returns the role of a node. For a manager, the text also says whether it is the leader or is not reachable. */
const roleOf = ({ role, leader, reachability }: SwarmNodeState): string => {
  if (leader) return `${role} (leader)`
  return reachability === undefined || reachability === 'reachable'
    ? role
    : `${role} (${reachability})`
}

const isWell = ({ state, reachability = 'reachable' }: SwarmNodeState): boolean =>
  state === 'ready' && reachability === 'reachable'

export const swarmStatus = defineCommand({
  name: 'status',
  summary: 'Show swarm nodes',
  description:
    'Show swarm nodes, as reported by their managers, and the machine for each node. The exit code is 0 if all nodes are ready and all managers are reachable, and 1 otherwise.',
  arguments: { swarms: any('swarms', 'swarm names (default: all)', 'swarm') },
  options: { timeout: commonOptions.timeout },
  answers: 'names',
  examples: ['fleet swarm status', 'fleet swarm status prod --json'],
  async run({ fleet, io, args, options, format }) {
    const states = await readStates({ fleet }, args.swarms, options.timeout)
    const colors = colorsOf(io, 'stdout')
    const rows = states.flatMap(({ nodes }) => nodes)
    await writeRows<SwarmNodeState>(io, format, {
      rows,
      columns: [
        ...(states.length > 1
          ? [{ title: 'SWARM', text: ({ swarm }: SwarmNodeState) => swarm, keep: true as const }]
          : []),
        { title: 'MACHINE', text: ({ machine = '' }) => machine, keep: true },
        {
          title: 'STATE',
          text: ({ state }) => state,
          paint: (text, { state }) => stateColor(colors, state)(text),
        },
        { title: 'ROLE', text: roleOf },
        { title: 'AVAILABILITY', text: ({ availability }) => availability },
        { title: 'ADDRESS', text: ({ address }) => address, drop: 2 },
        { title: 'ENGINE', text: ({ engine }) => engine, drop: 3 },
        { title: 'HOST', text: ({ hostname }) => hostname, drop: 4 },
        { title: 'NODE', text: ({ node }) => node, drop: 1 },
      ],
      name: ({ machine, node }) => machine ?? node,
    })
    for (const { summary } of states) {
      const explanation = explanations[summary.state]
      if (explanation === undefined) continue
      const [why, hint] = explanation
      const error = new UserError('failed', `swarm ${summary.swarm} ${why}`, {
        hint: hint.replace('SWARM', summary.swarm),
      })
      writeFailure(io, error, format.json)
    }
    const known = states.every(({ nodes }) => nodes.length > 0)
    return known && rows.every(isWell) ? exitCodes.ok : exitCodes.failed
  },
})
