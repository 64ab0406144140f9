import type { Engine } from '../../engine/engine.ts'
import type { ContainerStats } from '../../engine/stats.ts'
import { humanSize } from '../../ui/human-units.ts'
import { openPages } from '../../ui/page.ts'
import type { Column } from '../../ui/table.ts'
import { any, defineCommand, flag } from '../command.ts'
import { placeNames } from './references.ts'
import { listFromEngines } from '../multi/query-engines.ts'

const pair = (a: number, b: number): string => `${humanSize(a)} / ${humanSize(b)}`

/** The width, in cells, of the longest pair: `12.3kB / 45.6MB`. */
const pairWidth = 15

const columns: readonly Column<ContainerStats>[] = [
  { title: 'NAME', text: (row) => row.name, width: 16 },
  { title: 'CPU %', text: (row) => row.cpuPercent.toFixed(2), width: 6, keep: true },
  {
    title: 'MEMORY / LIMIT',
    text: ({ memory }) => pair(memory.used, memory.limit),
    width: pairWidth,
    keep: true,
  },
  { title: 'MEMORY %', text: ({ memory }) => memory.percent.toFixed(2), keep: true, drop: 1 },
  {
    title: 'NET IN / OUT',
    text: ({ network }) => pair(network.received, network.sent),
    width: pairWidth,
    keep: true,
    drop: 3,
  },
  {
    title: 'BLOCK IN / OUT',
    text: ({ block }) => pair(block.read, block.written),
    width: pairWidth,
    keep: true,
    drop: 4,
  },
  { title: 'PIDS', text: (row) => String(row.pids), keep: true, drop: 2 },
]

export const stats = defineCommand({
  name: 'stats',
  summary: 'Show container resource usage',
  description:
    'Show container CPU, memory, network and disk usage. In a terminal, the table keeps updating until you press Ctrl-C.',
  arguments: {
    containers: any(
      'containers',
      'container names or IDs (default: all running containers)',
      'running-container',
    ),
  },
  options: { stream: flag('--no-stream', 'show resource usage once, then exit') },
  targets: 'many',
  gathers: true,
  answers: 'json',
  async run({ args, options, ...invocation }) {
    const { listContainers } = await import('../../engine/containers.ts')
    const { readStats } = await import('../../engine/stats.ts')
    const { fleet, io } = invocation
    const live = options.stream && io.stdout.isTTY && !invocation.format.json
    const { targets, namesOn } = await placeNames(invocation, args.containers)
    const asking = { ...invocation, targets }
    const list = async (engine: Engine, signal: AbortSignal, machine: string) => {
      const names =
        args.containers.length > 0
          ? namesOn(machine)
          : (await listContainers(engine, { signal })).map(({ Id }) => Id)
      return Promise.all(names.map((name) => readStats(engine, name, signal)))
    }
    if (!live) return listFromEngines(asking, { list, columns })
    using pages = openPages(io)
    for (;;) {
      await pages.draw(async (held) => {
        await listFromEngines({ ...asking, io: held }, { list, columns, redrawn: true })
        fleet.signal.throwIfAborted()
      })
    }
  },
})
