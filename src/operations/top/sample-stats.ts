import { inspectContainer } from '../../engine/containers.ts'
import type { Engine } from '../../engine/engine.ts'
import { type StatsReading, computeStats, readCounters } from '../../engine/stats.ts'
import { ignored } from '../../os/trace.ts'
import type { Emit } from './watch-machine.ts'

/** The pause between readings of a container, in milliseconds. */
const pauseMs = 2000

/** The restart count of a container is read only once in this number of readings. */
const readingsPerInspection = 10

/**
 * The maximum number of containers of a machine that are read at the same time: each reading may occupy one of the few
 * sessions that an SSH server allows.
 */
const concurrency = 4

const known = (value: unknown): number | undefined =>
  typeof value === 'number' ? value : undefined

/** Reads the resource usage of selected containers of one machine, until it is disposed of. */
export interface StatsSampler extends Disposable {
  /** Sets the containers to read from now on. */
  choose(containers: readonly string[]): void
}

/** Opens a sampler for the containers of a machine. `engine` must return undefined while the engine does not answer. */
export function sampleStats(
  machine: string,
  engine: () => Engine | undefined,
  emit: Emit,
  stop: AbortSignal,
): StatsSampler {
  const before = new Map<string, StatsReading>()
  const readings = new Map<string, number>()
  let chosen: readonly string[] = []
  let timer: NodeJS.Timeout | undefined
  let isReading = false
  let isDisposed = false

  async function read(open: Engine, container: string): Promise<void> {
    const count = readings.get(container) ?? 0
    readings.set(container, count + 1)
    const [counters, details] = await Promise.all([
      readCounters(open, container, stop),
      count % readingsPerInspection === 0
        ? inspectContainer(open, container, { signal: stop })
        : undefined,
    ])
    const last = before.get(container)
    before.set(container, counters)
    emit({
      ...{ kind: 'stats', machine, container },
      stats: computeStats(counters, last),
      restarts: known(details?.['RestartCount']),
    })
  }

  async function readAll(): Promise<void> {
    const open = engine()
    if (open === undefined) return
    const waiting = chosen.values()
    const work = async (): Promise<void> => {
      for (const container of waiting) {
        await read(open, container).catch(ignored('engine', `read resource usage for ${container}`))
      }
    }
    await Promise.all(Array.from({ length: concurrency }, work))
  }

  function plan(ms: number): void {
    clearTimeout(timer)
    if (isDisposed || chosen.length === 0) return
    timer = setTimeout(() => {
      isReading = true
      void readAll().finally(() => {
        isReading = false
        plan(pauseMs)
      })
    }, ms)
  }

  return {
    choose(containers) {
      const isNew = containers.some((container) => !chosen.includes(container))
      chosen = containers
      for (const container of before.keys()) {
        if (containers.includes(container)) continue
        before.delete(container)
        readings.delete(container)
      }
      if (isNew && !isReading) plan(0)
    },
    [Symbol.dispose]() {
      isDisposed = true
      clearTimeout(timer)
    },
  }
}
