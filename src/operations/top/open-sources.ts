import { setMaxListeners } from 'node:events'
import pLimit from 'p-limit'
import { type DiskUsageRow, readDiskUsage, summarizeDiskUsage } from '../../engine/disk-usage.ts'
import { inspectContainer } from '../../engine/containers.ts'
import { imageLayers } from '../../engine/image-layers.ts'
import { UserError, messageOf } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { type LogEntry, readLogs } from '../fan-out/read-logs.ts'
import type { TaskLogs } from '../services/task-containers.ts'
import { type StatsSampler, sampleStats } from './sample-stats.ts'
import type { Details } from './updates.ts'
import { type Emit, type WatchedMachine, watchMachine } from './watch-machine.ts'
import { concernsServices, watchSwarm } from './watch-swarm.ts'

/** A machine, container, image or service that is shown. */
export type Target =
  | { readonly kind: 'machine'; readonly machine: string }
  | {
      readonly kind: 'container' | 'image' | 'service'
      /** The name of the machine; for a service, the name of the swarm, which `--machine` accepts as well. */
      readonly machine: string
      readonly id: string
      readonly name: string
    }

/** The data that the current views show, so that it must be read. */
export interface Demand {
  /** The containers whose resource usage is read, keyed by machine. */
  readonly stats: ReadonlyMap<string, readonly string[]>
  readonly images: boolean
  readonly services: boolean
  /** The service whose tasks are read. */
  readonly tasksOf: { readonly swarm: string; readonly service: string } | undefined
}

/** A target whose logs can be followed: a container, or a service with all its tasks. */
export type LogTarget = Target & { readonly kind: 'container' | 'service' }

/** The sources that send updates about machines and swarms. */
export interface Sources extends AsyncDisposable {
  demand(wanted: Demand): void
  /** Connects immediately to the machines that do not answer. */
  retry(): void
  /** Reads the details of a target. They arrive in an update whose `of` has the given value. */
  readDetails(target: Target, of: string): void
  /** Follows the logs of these containers and of the tasks of these services, in place of the logs followed before. */
  followLogs(targets: readonly LogTarget[]): void
}

/** The maximum number of connections that are opened at the same time. */
const startsAtOnce = 32

/** The number of existing lines that are read from each log at first. */
const tail = 200

/**
 * The interval, in milliseconds, at which log lines are passed on, and the maximum number of lines each time. If more
 * lines arrive, the oldest ones are dropped.
 */
const [logMs, mostLines] = [100, 5000]

const sizeOf = (rows: readonly DiskUsageRow[], kind: DiskUsageRow['kind']): number =>
  rows.find((row) => row.kind === kind)?.size ?? 0

const jsonLines = (value: unknown): readonly string[] => JSON.stringify(value, null, 2).split('\n')

/** Starts watching machines and swarms. `emit` receives their updates until the sources are disposed of. */
export function openSources(
  context: Context,
  {
    machines,
    swarms,
  }: { readonly machines: readonly Machine[]; readonly swarms: Iterable<string> },
  emit: Emit,
): Sources {
  const ending = new AbortController()
  const signal = AbortSignal.any([context.signal, ending.signal])
  setMaxListeners(0, signal, ending.signal, context.signal)
  const scope = context.with({ signal })
  const limit = pLimit(startsAtOnce)
  const send: Emit = (update) => {
    if (signal.aborted) return
    emit(update)
    if (update.kind !== 'event' || !concernsServices(update.event)) return
    for (const swarm of watchedSwarms.values()) swarm.changed()
  }
  const watchedSwarms = new Map(
    [...swarms].map((name) => [name, watchSwarm(scope, name, send)] as const),
  )
  const watched = new Map<string, WatchedMachine>(
    machines.map((machine) => [
      machine.name,
      watchMachine(scope, machine, send, (work) => limit(work)),
    ]),
  )
  const samplers = new Map<string, StatsSampler>()
  let logs: AbortController | undefined

  const engineOf = async (machine: string) => {
    const found = watched.get(machine)
    if (found === undefined) throw new Error(`no such machine: ${machine}`)
    return found.engine() ?? (await context.engine(found.machine))
  }

  async function detailsOf(target: Target): Promise<Details | undefined> {
    if (target.kind === 'service') return undefined
    const engine = await engineOf(target.machine)
    if (target.kind === 'machine') {
      const rows = summarizeDiskUsage(await readDiskUsage(engine, signal))
      send({
        ...{ kind: 'disk', machine: target.machine },
        parts: {
          images: sizeOf(rows, 'images'),
          containers: sizeOf(rows, 'containers'),
          volumes: sizeOf(rows, 'volumes'),
          cache: sizeOf(rows, 'build cache'),
        },
      })
      return undefined
    }
    if (target.kind === 'container') {
      return {
        kind: 'json',
        lines: jsonLines(await inspectContainer(engine, target.id, { signal })),
      }
    }
    const [image] = await imageLayers(engine, { images: [target.id], signal })
    const layers = (image?.layers ?? []).map(
      ({ size = 0, createdBy = '', digest, sharedWith }) => ({
        size,
        text: createdBy === '' ? digest : createdBy,
        shared: sharedWith.length > 0,
      }),
    )
    return { kind: 'layers', layers, lines: [] }
  }

  /** Finds the logs of a target. For a service, these are the logs of its tasks, with the names of the tasks. */
  async function logsOf({ kind, machine, name }: LogTarget, stop: AbortSignal): Promise<TaskLogs> {
    if (kind === 'container') {
      const engine = await engineOf(machine)
      return { sources: [{ machine, container: name, engine, task: name }], failures: [] }
    }
    const { openSwarm } = await import('../services/open-swarm.ts')
    const { findTaskLogs } = await import('../services/task-containers.ts')
    const inScope = context.with({ signal: stop })
    return findTaskLogs(inScope, openSwarm(inScope, machine), [name])
  }

  async function follow(targets: readonly LogTarget[], stop: AbortSignal): Promise<void> {
    let waiting: LogEntry[] = []
    const pass = (): void => {
      if (waiting.length > 0 && !stop.aborted) send({ kind: 'logs', entries: waiting })
      waiting = []
    }
    const timer = setInterval(pass, logMs)
    try {
      const found = await Promise.all(targets.map((target) => logsOf(target, stop)))
      const sources = found.flatMap((one) => one.sources)
      const tasks = new Map<string, string>()
      for (const one of found) {
        for (const { container, task } of one.sources) tasks.set(container, task)
        for (const { machine, error } of one.failures) {
          waiting.push({ machine: machine.name, container: '', error })
        }
      }
      for await (const entry of readLogs(sources, { follow: true, tail, signal: stop })) {
        waiting.push({ ...entry, container: tasks.get(entry.container) ?? entry.container })
        if (waiting.length > mostLines * 2) waiting = waiting.slice(-mostLines)
      }
    } catch (error) {
      if (stop.aborted) return
      const [first] = targets
      const failed = new UserError('failed', messageOf(error))
      waiting.push({ machine: first?.machine ?? '', container: first?.name ?? '', error: failed })
    } finally {
      clearInterval(timer)
      pass()
    }
  }

  return {
    demand({ stats, images, services, tasksOf }) {
      for (const [name, swarm] of watchedSwarms) {
        swarm.want(services, tasksOf?.swarm === name ? tasksOf.service : undefined)
      }
      for (const [name, machine] of watched) {
        machine.wantImages(images)
        const wanted = stats.get(name) ?? []
        const known = samplers.get(name)
        if (known === undefined && wanted.length === 0) continue
        const sampler = known ?? sampleStats(name, machine.engine, send, signal)
        samplers.set(name, sampler)
        sampler.choose(wanted)
      }
    },
    retry() {
      for (const machine of watched.values()) machine.retry()
    },
    readDetails(target, of) {
      void detailsOf(target).then(
        (details) => details && send({ kind: 'details', of, details }),
        (error: unknown) =>
          send({ kind: 'details', of, details: { kind: 'json', lines: [messageOf(error)] } }),
      )
    },
    followLogs(targets) {
      logs?.abort(new UserError('cancelled', 'other logs were chosen'))
      logs = new AbortController()
      if (targets.length > 0) void follow(targets, AbortSignal.any([signal, logs.signal]))
    },
    async [Symbol.asyncDispose]() {
      ending.abort(new UserError('cancelled', 'the dashboard was closed'))
      for (const sampler of samplers.values()) sampler[Symbol.dispose]()
      await Promise.all([...watched.values()].map(({ ended }) => ended))
    },
  }
}
