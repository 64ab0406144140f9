import type { Engine } from '../../engine/engine.ts'
import type { ContainerStats } from '../../engine/stats.ts'
import { humanSize } from '../../ui/human.ts'
import type { Io } from '../../ui/io.ts'
import type { Column } from '../../ui/table.ts'
import { any, defineCommand, flag } from '../definition.ts'
import { listFromEngines } from './across.ts'

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

/** Puts the cursor home and clears the screen (ECMA-48, CUP and ED). */
const clearScreen = '\u001B[H\u001B[2J'

/** Holds what is written back, so that a screen changes at once. */
function holdOutput(io: Io): { held: Io; show: () => void } {
  let text = ''
  const stdout = Object.create(io.stdout, {
    write: { value: (chunk: string) => ((text += chunk), true) },
  }) as Io['stdout']
  return { held: { ...io, stdout }, show: () => void io.stdout.write(`${clearScreen}${text}`) }
}

export const stats = defineCommand({
  name: 'stats',
  summary: 'Show what containers use of processor, memory and network',
  description:
    'Show what containers use of processor, memory and network. On a terminal the table is renewed until Ctrl-C.',
  arguments: { containers: any('containers', 'names or ids; all that run if none is named') },
  options: { stream: flag('--no-stream', 'measure once') },
  targets: 'many',
  gathers: true,
  answers: 'json',
  async run({ args, options, ...invocation }) {
    const { listContainers } = await import('../../engine/containers.ts')
    const { readStats } = await import('../../engine/stats.ts')
    const { fleet, io } = invocation
    const list = async (engine: Engine, signal: AbortSignal) => {
      const names =
        args.containers.length > 0
          ? args.containers
          : (await listContainers(engine, { signal })).map(({ Id }) => Id)
      return Promise.all(names.map((name) => readStats(engine, name, signal)))
    }
    const live = options.stream && io.stdout.isTTY === true && !invocation.format.json
    if (!live) return listFromEngines(invocation, { list, columns })
    for (;;) {
      const { held, show } = holdOutput(io)
      await listFromEngines({ ...invocation, io: held }, { list, columns })
      fleet.signal.throwIfAborted()
      show()
    }
  },
})
