import type { TopContainer } from '../../../operations/top/updates.ts'
import type { Tone } from '../../../ui/screen/palette.ts'
import { type MachineModel, type Model, type Usage, usageKey } from '../model/model.ts'
import { percent, size } from './texts.ts'
import { defineView, machineColumn } from './view.ts'

/** A container and its machine. */
export interface ContainerItem {
  readonly machine: MachineModel
  readonly container: TopContainer
}

const usageOf = ({ machine, container }: ContainerItem, { usage }: Model): Usage | undefined =>
  container.state === 'running'
    ? usage.get(usageKey(machine.machine.name, container.id))
    : undefined

/** Returns the tone of a container's state. */
function toneOfContainer({ state, health }: TopContainer): Tone {
  if (health === 'unhealthy' || state === 'dead') return 'bad'
  if (state === 'running') return health === 'starting' ? 'warn' : 'good'
  return state === 'exited' || state === 'created' ? 'dim' : 'warn'
}

/** Formats the rates of received and sent bytes: `12.3kB 45.6MB`. */
const rates = (usage: Usage | undefined): string =>
  usage === undefined || usage.received.length < 2
    ? ''
    : `${size(usage.received.at(-1) ?? 0)} ${size(usage.sent.at(-1) ?? 0)}`

export const containersView = defineView<ContainerItem>({
  name: 'containers',
  groupings: ['none', 'machine', 'stack'],
  items: ({ machines }) =>
    [...machines.values()].flatMap((machine) =>
      (machine.containers ?? []).map((container) => ({ machine, container })),
    ),
  id: ({ machine, container }) => usageKey(machine.machine.name, container.id),
  machine: ({ machine }) => machine,
  stack: ({ container }) => container.stack,
  state: ({ container }) => container.state,
  text: ({ machine, container }) =>
    [
      ...[container.name, container.id.slice(0, 12), container.image, container.status],
      ...[container.stack, container.service, machine.machine.name],
    ].join(' '),
  target: ({ machine, container }) => ({
    kind: 'container',
    machine: machine.machine.name,
    id: container.id,
    name: container.name,
  }),
  columns: [
    {
      title: 'CONTAINER',
      width: 14,
      grow: 3,
      value: ({ container }) => container.name,
      cell: ({ container }) => ({ text: container.name, tone: 'strong' }),
    },
    machineColumn,
    {
      title: 'STATE',
      width: 10,
      value: ({ container }) => container.state,
      cell: ({ container }) => ({ text: container.state, tone: toneOfContainer(container) }),
    },
    {
      title: 'HEALTH',
      width: 9,
      drop: 4,
      value: ({ container }) => container.health,
      cell: ({ container }) => ({ text: container.health, tone: toneOfContainer(container) }),
    },
    {
      title: 'CPU',
      width: 14,
      value: (item, model) => usageOf(item, model)?.stats.cpuPercent ?? -1,
      cell(item, model) {
        const usage = usageOf(item, model)
        if (usage === undefined || usage.cpu.length < 2) return { text: '' }
        const { cpuPercent } = usage.stats
        const share = cpuPercent / (100 * Math.max(1, item.machine.processors ?? 1))
        return { text: `${cpuPercent.toFixed(1)}%`.padStart(6), bar: share }
      },
    },
    {
      title: 'LAST MINUTES',
      width: 15,
      drop: 6,
      value: (item, model) =>
        usageOf(item, model)?.cpu.reduce((sum, value) => sum + value, 0) ?? -1,
      cell: (item, model) => ({
        text: '',
        spark: (usageOf(item, model)?.cpu ?? []).slice(1).map((value) => value / 100),
      }),
    },
    {
      title: 'MEMORY',
      width: 14,
      value: (item, model) => usageOf(item, model)?.stats.memory.used ?? -1,
      cell(item, model) {
        const usage = usageOf(item, model)
        if (usage === undefined) return { text: '' }
        const { used, percent: share } = usage.stats.memory
        return { text: size(used).padStart(6), bar: share / 100 }
      },
    },
    {
      title: 'MEM %',
      width: 5,
      right: true,
      drop: 7,
      value: (item, model) => usageOf(item, model)?.stats.memory.percent ?? -1,
      cell(item, model) {
        const usage = usageOf(item, model)
        return { text: usage ? percent(usage.stats.memory.percent / 100) : '' }
      },
    },
    {
      title: 'NET IN OUT/s',
      width: 14,
      right: true,
      drop: 3,
      value(item, model) {
        const usage = usageOf(item, model)
        return usage ? (usage.received.at(-1) ?? 0) + (usage.sent.at(-1) ?? 0) : -1
      },
      cell: (item, model) => ({ text: rates(usageOf(item, model)) }),
    },
    {
      title: 'RESTARTS',
      width: 8,
      right: true,
      drop: 5,
      value: (item, model) => usageOf(item, model)?.restarts ?? -1,
      cell(item, model) {
        const restarts = usageOf(item, model)?.restarts
        return { text: String(restarts ?? ''), tone: restarts ? 'warn' : 'plain' }
      },
    },
    {
      title: 'STACK',
      width: 10,
      grow: 1,
      drop: 2,
      value: ({ container }) => container.stack,
      cell: ({ container }) => ({ text: container.stack, tone: 'accent' }),
    },
    {
      title: 'IMAGE',
      width: 12,
      grow: 2,
      drop: 1,
      value: ({ container }) => container.image,
      cell: ({ container }) => ({ text: container.image, tone: 'dim' }),
    },
  ],
})
