import type { TopEvent } from '../../../operations/top/updates.ts'
import type { Tone } from '../../../ui/screen/palette.ts'
import { clockTime } from './texts.ts'
import { defineView } from './view.ts'

const toneOfAction = (action: string): Tone => {
  if (/^(?:die|kill|oom|health_status: unhealthy)/.test(action)) return 'bad'
  if (/^(?:stop|destroy|delete|untag|unmount|disconnect)/.test(action)) return 'warn'
  return /^(?:start|create|pull|health_status: healthy)/.test(action) ? 'good' : 'plain'
}

const stackOf = ({ attributes }: TopEvent): string => attributes['com.docker.compose.project'] ?? ''

export const eventsView = defineView<TopEvent>({
  name: 'events',
  groupings: ['none', 'machine', 'stack'],
  items: ({ events }) => events,
  id: ({ id }) => String(id),
  machine: ({ machine }, { machines }) => machines.get(machine),
  stack: stackOf,
  state: ({ action }) => action,
  text: (event) =>
    [event.machine, event.type, event.action, event.name, event.attributes['image']].join(' '),
  target: () => undefined,
  columns: [
    {
      title: 'TIME',
      width: 8,
      value: ({ id }) => id,
      cell: ({ time }) => ({ text: clockTime(time), tone: 'dim' }),
    },
    {
      title: 'MACHINE',
      width: 10,
      grow: 1,
      value: ({ machine }) => machine,
      cell: ({ machine }) => ({ text: machine }),
    },
    {
      title: 'TYPE',
      width: 9,
      value: ({ type }) => type,
      cell: ({ type }) => ({ text: type }),
    },
    {
      title: 'ACTION',
      width: 12,
      grow: 1,
      value: ({ action }) => action,
      cell: ({ action }) => ({ text: action, tone: toneOfAction(action) }),
    },
    {
      title: 'NAME',
      width: 14,
      grow: 2,
      value: ({ name }) => name,
      cell: ({ name }) => ({ text: name, tone: 'strong' }),
    },
    {
      title: 'STACK',
      width: 10,
      drop: 2,
      value: stackOf,
      cell: (event) => ({ text: stackOf(event), tone: 'accent' }),
    },
    {
      title: 'IMAGE',
      width: 12,
      grow: 1,
      drop: 1,
      value: ({ attributes }) => attributes['image'] ?? '',
      cell: ({ attributes, type }) => ({
        text: type === 'container' ? (attributes['image'] ?? '') : '',
        tone: 'dim',
      }),
    },
  ],
})
