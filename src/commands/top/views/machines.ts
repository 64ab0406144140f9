import { machinesOf } from '../../../machine/stacks.ts'
import type { Tone } from '../../../ui/screen/palette.ts'
import { type MachineModel, type Model, isStale, stacksOf, stateOfMachine } from '../model/model.ts'
import { age, percent, size } from './texts.ts'
import { defineView } from './view.ts'

const toneOfState = (state: string): Tone => {
  if (state === 'running') return 'good'
  return state === 'unreachable' || state === 'no-engine' ? 'bad' : 'warn'
}

const running = ({ containers = [] }: MachineModel): number =>
  containers.filter(({ state }) => state === 'running').length

const share = ({ used, total }: { readonly used: number; readonly total: number }): number =>
  total === 0 ? 0 : used / total

/** Describes how the stacks on a machine differ from the inventory, judging only by the list of containers. */
function driftOf(machine: MachineModel, model: Model): { text: string; count: number } {
  const wanted = [...model.stacks.values()].filter(
    (stack) => machinesOf(stack, [machine.machine]).length > 0,
  )
  if (machine.containers === undefined || wanted.length === 0) return { text: '', count: -1 }
  const stacks = stacksOf(machine, wanted)
  const bad = stacks.filter(({ state }) => state !== 'running' && state !== 'unmanaged')
  if (bad.length === 0) return { text: 'ok', count: 0 }
  const [first] = bad
  const text =
    bad.length === 1 ? `${first?.name} ${first?.state}` : `${bad.length} of ${wanted.length}`
  return { text, count: bad.length }
}

/** Returns the age of the data of a machine, for machines that do not answer. */
export const dataAge = (machine: MachineModel, now: number): string =>
  machine.lastSeenAt === undefined ? '' : age((now - machine.lastSeenAt) / 1000)

export const machinesView = defineView<MachineModel>({
  name: 'machines',
  groupings: ['none'],
  items: ({ machines }) => [...machines.values()],
  id: ({ machine }) => machine.name,
  machine: (item) => item,
  stack: () => '',
  state: (item, { now }) => stateOfMachine(item, now),
  text: ({ machine, engine = '', reason = '' }) =>
    [machine.name, machine.driver, machine.host?.address, engine, reason].join(' '),
  target: ({ machine }) => ({ kind: 'machine', machine: machine.name }),
  columns: [
    {
      title: 'MACHINE',
      width: 12,
      grow: 3,
      value: ({ machine }) => machine.name,
      cell: ({ machine }) => ({ text: machine.name, tone: 'strong' }),
    },
    {
      title: 'STATE',
      width: 16,
      value: (item, { now }) => stateOfMachine(item, now),
      cell(item, { now }) {
        const state = stateOfMachine(item, now)
        const old = isStale(item, now) ? dataAge(item, now) : ''
        return { text: old === '' ? state : `${state} ${old}`, tone: toneOfState(state) }
      },
    },
    {
      title: 'CPU',
      width: 13,
      value: ({ cpu }) => cpu.at(-1) ?? -1,
      cell: ({ cpu }) => ({ text: percent(cpu.at(-1)), bar: cpu.at(-1) }),
    },
    {
      title: 'LAST MINUTE',
      width: 15,
      drop: 6,
      value: ({ cpu }) => cpu.slice(-15).reduce((sum, value) => sum + value, 0),
      cell: ({ cpu }) => ({ text: '', spark: cpu }),
    },
    {
      title: 'LOAD',
      width: 5,
      right: true,
      drop: 4,
      value: ({ figures }) => figures?.load ?? -1,
      cell: ({ figures }) => ({ text: figures === undefined ? '' : figures.load.toFixed(2) }),
    },
    {
      title: 'MEMORY',
      width: 13,
      value: ({ figures }) => (figures ? share(figures.memory) : -1),
      cell: ({ figures }) => {
        const used = figures && share(figures.memory)
        return { text: percent(used), bar: used }
      },
    },
    {
      title: 'DISK',
      width: 13,
      drop: 1,
      value: ({ figures }) => (figures?.disk ? share(figures.disk) : -1),
      cell: ({ figures }) => {
        const used = figures?.disk && share(figures.disk)
        return { text: percent(used), bar: used }
      },
    },
    {
      title: 'FREE',
      width: 7,
      right: true,
      drop: 7,
      value: ({ figures }) => (figures?.disk ? figures.disk.total - figures.disk.used : -1),
      cell: ({ figures }) => ({
        text: figures?.disk ? size(figures.disk.total - figures.disk.used) : '',
      }),
    },
    {
      title: 'CONTAINERS',
      width: 10,
      right: true,
      drop: 2,
      value: (item) => (item.containers ? running(item) : -1),
      cell: (item) => ({
        text: item.containers ? `${running(item)}/${item.containers.length}` : '',
      }),
    },
    {
      title: 'ENGINE',
      width: 8,
      drop: 5,
      value: ({ engine = '' }) => engine,
      cell: ({ engine = '' }) => ({ text: engine }),
    },
    {
      title: 'STACKS',
      width: 12,
      grow: 1,
      drop: 3,
      value: (item, model) => driftOf(item, model).count,
      cell(item, model) {
        const { text, count } = driftOf(item, model)
        return { text, tone: count > 0 ? 'bad' : 'good' }
      },
    },
  ],
})
