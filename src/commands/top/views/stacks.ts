import { machinesOf } from '../../../machine/stacks.ts'
import type { Tone } from '../../../ui/screen/palette.ts'
import { type StackModel, stacksOf, usageKey } from '../model/model.ts'
import { size } from './texts.ts'
import { defineView, machineColumn } from './view.ts'

const tones: Readonly<Record<StackModel['state'], Tone>> = {
  running: 'good',
  degraded: 'bad',
  stopped: 'warn',
  missing: 'bad',
  unmanaged: 'dim',
  unfinished: 'bad',
  mixed: 'warn',
}

const running = ({ containers }: StackModel) =>
  containers.filter(({ state }) => state === 'running')

const services = ({ containers }: StackModel): readonly string[] => [
  ...new Set(containers.map(({ service, name }) => service || name)),
]

export const stacksView = defineView<StackModel>({
  name: 'stacks',
  groupings: ['none', 'machine', 'stack'],
  items: ({ machines, stacks }) =>
    [...machines.values()].flatMap((machine) =>
      stacksOf(
        machine,
        [...stacks.values()].filter((stack) => machinesOf(stack, [machine.machine]).length > 0),
      ),
    ),
  id: ({ machine, name }) => `${machine.machine.name} ${name}`,
  machine: ({ machine }) => machine,
  stack: ({ name }) => name,
  state: ({ state }) => state,
  text: (item) => [item.name, item.machine.machine.name, item.state, ...services(item)].join(' '),
  target: () => undefined,
  columns: [
    {
      title: 'STACK',
      width: 14,
      grow: 2,
      value: ({ name }) => name,
      cell: ({ name }) => ({ text: name, tone: 'strong' }),
    },
    machineColumn,
    {
      title: 'STATE',
      width: 10,
      value: ({ state }) => state,
      cell: ({ state }) => ({ text: state, tone: tones[state] }),
    },
    {
      title: 'RUNNING',
      width: 7,
      right: true,
      value: (item) => running(item).length,
      cell(item) {
        const [count, all] = [running(item).length, item.containers.length]
        return { text: `${count}/${all}` }
      },
    },
    {
      title: 'CPU',
      width: 8,
      right: true,
      drop: 2,
      value: (item, { usage }) => sum(item, (key) => usage.get(key)?.stats.cpuPercent),
      cell(item, { usage }) {
        const total = sum(item, (key) => usage.get(key)?.stats.cpuPercent)
        return { text: total < 0 ? '' : `${total.toFixed(1)}%` }
      },
    },
    {
      title: 'MEMORY',
      width: 8,
      right: true,
      drop: 3,
      value: (item, { usage }) => sum(item, (key) => usage.get(key)?.stats.memory.used),
      cell(item, { usage }) {
        const total = sum(item, (key) => usage.get(key)?.stats.memory.used)
        return { text: total < 0 ? '' : size(total) }
      },
    },
    {
      title: 'SERVICES',
      width: 12,
      grow: 3,
      drop: 1,
      value: (item) => services(item).length,
      cell: (item) => ({ text: services(item).join(' '), tone: 'dim' }),
    },
  ],
})

/** Returns the sum of a value over all running containers of a stack; -1 if the value is not known for any of them. */
function sum(item: StackModel, value: (key: string) => number | undefined): number {
  const values = running(item).flatMap(
    ({ id }) => value(usageKey(item.machine.machine.name, id)) ?? [],
  )
  return values.length === 0 ? -1 : values.reduce((total, one) => total + one, 0)
}
