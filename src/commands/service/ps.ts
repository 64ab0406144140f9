import type { TaskRow } from '../../operations/services/list-services.ts'
import { colorsOf, stateColor } from '../../ui/color.ts'
import { humanAge } from '../../ui/human-units.ts'
import { writeRows } from '../../ui/table.ts'
import { any, defineCommand, flag } from '../command.ts'
import { shortImage } from './ls.ts'
import { swarmOf } from './swarm-of.ts'

const ageOf = ({ since }: TaskRow): string =>
  Number.isNaN(Date.parse(since)) ? '' : ` ${humanAge(Date.parse(since) / 1000)}`

const colorState: Readonly<Record<string, string>> = { rejected: 'failed', orphaned: 'failed' }

export const servicePs = defineCommand({
  name: 'ps',
  summary: 'List service tasks',
  description:
    'List service tasks and their machines. For each slot, the newest task is listed first, followed by the tasks that it replaced.',
  arguments: { services: any('services', 'service names (default: all)', 'service') },
  options: {
    current: flag('--current', 'show only tasks whose desired state is running or ready'),
  },
  targets: 'swarm',
  answers: 'names',
  examples: ['fleet service ps', 'fleet service ps web -m prod --current'],
  async run({ fleet, io, args, options, targets, format }) {
    const { taskRows } = await import('../../operations/services/list-services.ts')
    const all = await taskRows(fleet, await swarmOf({ fleet, targets }), args.services)
    const rows = options.current
      ? all.filter(({ desired }) => desired === 'running' || desired === 'ready')
      : all
    const colors = colorsOf(io, 'stdout')
    await writeRows<TaskRow>(io, format, {
      rows,
      columns: [
        { title: 'TASK', text: ({ task }) => task, keep: true },
        { title: 'MACHINE', text: ({ machine, node = '' }) => machine ?? node, keep: true },
        {
          title: 'STATE',
          text: (row) => `${row.state}${ageOf(row)}`,
          paint: (text, { state }) => stateColor(colors, colorState[state] ?? state)(text),
        },
        { title: 'DESIRED', text: ({ desired }) => desired, drop: 3 },
        { title: 'IMAGE', text: ({ image }) => shortImage(image), drop: 2 },
        { title: 'ERROR', text: ({ error = '' }) => error, wrap: true },
        { title: 'CONTAINER', text: ({ container = '' }) => container.slice(0, 12), drop: 4 },
      ],
      name: ({ id }) => id,
    })
  },
})
