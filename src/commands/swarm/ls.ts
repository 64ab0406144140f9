import { exitCodes } from '../../errors.ts'
import type { SwarmSummary } from '../../operations/swarm/swarm-states.ts'
import { colorsOf, stateColor } from '../../ui/color.ts'
import { writeRows } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'
import { commonOptions } from '../options/common-options.ts'
import { readStates } from './read-states.ts'

export const swarmLs = defineCommand({
  name: 'ls',
  aliases: ['list'],
  summary: 'List swarms and their state',
  description:
    'List the swarms in the inventory and their state. A swarm is degraded if a node is not ready or a manager is not reachable; it has no leader if most of its managers are not reachable. The exit code is 1 if an initialized swarm is not healthy.',
  options: { timeout: commonOptions.timeout },
  answers: 'names',
  examples: ['fleet swarm ls', 'fleet swarm ls --json'],
  async run({ fleet, io, options, format }) {
    const states = await readStates({ fleet }, [], options.timeout)
    const colors = colorsOf(io, 'stdout')
    const rows = states.map(({ summary }) => summary)
    await writeRows<SwarmSummary>(io, format, {
      rows,
      columns: [
        { title: 'SWARM', text: ({ swarm }) => swarm, keep: true },
        {
          title: 'STATE',
          text: ({ state }) => state,
          paint: (text, { state }) => stateColor(colors, state)(text),
        },
        {
          title: 'MANAGERS',
          text: ({ managers, reachableManagers }) =>
            managers === 0 ? '' : `${reachableManagers}/${managers}`,
        },
        {
          title: 'NODES',
          text: ({ nodes, readyNodes }) => (nodes === 0 ? '' : `${readyNodes}/${nodes}`),
        },
        { title: 'ID', text: ({ id = '' }) => id, keep: true, drop: 1 },
      ],
      name: ({ swarm }) => swarm,
    })
    const isWell = rows.every(({ state }) => state === 'healthy' || state === 'not-initialized')
    return isWell ? exitCodes.ok : exitCodes.failed
  },
})
