import type { ServiceRow } from '../../operations/services/list-services.ts'
import { colorsOf, stateColor } from '../../ui/color.ts'
import { writeRows } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'
import { swarmOf } from './swarm-of.ts'

/** Returns an image name without its digest, because the digest would be longer than all the rest. */
export const shortImage = (image: string): string => image.replace(/(?<=:.*)@sha256:.*/, '')

export const serviceLs = defineCommand({
  name: 'ls',
  aliases: ['list'],
  summary: 'List the services in a swarm',
  targets: 'swarm',
  answers: 'names',
  examples: ['fleet service ls', 'fleet service ls -m prod --json'],
  async run({ fleet, io, targets, format }) {
    const { serviceRows } = await import('../../operations/services/list-services.ts')
    const rows = await serviceRows(fleet, await swarmOf({ fleet, targets }))
    const colors = colorsOf(io, 'stdout')
    await writeRows<ServiceRow>(io, format, {
      rows,
      columns: [
        { title: 'SERVICE', text: ({ service }) => service, keep: true },
        { title: 'MODE', text: ({ mode }) => mode, drop: 2 },
        {
          title: 'TASKS',
          text: ({ running, desired }) => `${running}/${desired}`,
          paint: (text, { running, desired }) =>
            stateColor(colors, running < desired ? 'degraded' : 'running')(text),
        },
        { title: 'IMAGE', text: ({ image }) => shortImage(image), drop: 1 },
        { title: 'PORTS', text: ({ ports }) => ports.join(', '), drop: 3 },
        { title: 'UPDATE', text: ({ update = '' }) => update.replace('_', ' '), drop: 4 },
      ],
      name: ({ service }) => service,
    })
  },
})
