import type { Engine } from '../../engine/engine.ts'
import type { ContainerStats } from '../../engine/stats.ts'
import { humanSize } from '../../ui/human.ts'
import { holdPage } from '../../ui/page.ts'
import type { Column } from '../../ui/table.ts'
import { any, defineCommand, flag } from '../command.ts'
import { placeNames } from './references.ts'
import { listFromEngines } from '../multi/query-engines.ts'

const pair = (a: number, b: number): string => `${humanSize(a)} / ${humanSize(b)}`

const columns: readonly Column<ContainerStats>[] = [
  { title: 'NAME', text: (row) => row.name },
  { title: 'CPU %', text: (row) => row.cpuPercent.toFixed(2) },
  { title: 'MEMORY / LIMIT', text: ({ memory }) => pair(memory.used, memory.limit) },
  { title: 'MEMORY %', text: ({ memory }) => memory.percent.toFixed(2) },
  { title: 'NET IN / OUT', text: ({ network }) => pair(network.received, network.sent) },
  { title: 'BLOCK IN / OUT', text: ({ block }) => pair(block.read, block.written) },
  { title: 'PIDS', text: (row) => String(row.pids) },
]

export const stats = defineCommand({
  name: 'stats',
  summary: 'Show the resource usage of containers',
  description:
    'Show the CPU, memory, network and disk usage of containers. On a terminal, the table is updated until you press Ctrl-C.',
  arguments: {
    containers: any(
      'containers',
      'names or ids of containers (default: all running ones)',
      'running-container',
    ),
  },
  options: { stream: flag('--no-stream', 'measure only once') },
  targets: 'many',
  gathers: true,
  answers: 'json',
  async run({ args, options, ...invocation }) {
    const { listContainers } = await import('../../engine/containers.ts')
    const { readStats } = await import('../../engine/stats.ts')
    const { fleet, io } = invocation
    const { targets, namesOn } = await placeNames(invocation, args.containers)
    const asking = { ...invocation, targets }
    const list = async (engine: Engine, signal: AbortSignal, machine: string) => {
      const names =
        args.containers.length > 0
          ? namesOn(machine)
          : (await listContainers(engine, { signal })).map(({ Id }) => Id)
      return Promise.all(names.map((name) => readStats(engine, name, signal)))
    }
    const live = options.stream && io.stdout.isTTY && !invocation.format.json
    if (!live) return listFromEngines(asking, { list, columns })
    for (;;) {
      const { held, show } = holdPage(io)
      await listFromEngines({ ...asking, io: held }, { list, columns })
      fleet.signal.throwIfAborted()
      show()
    }
  },
})
