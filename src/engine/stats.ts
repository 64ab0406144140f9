import { type Read, list, number, object, optional, record, text, withDefault } from './answer.ts'
import type { Engine } from './engine.ts'

/** The resource usage of a container, in bytes, and in percent as `docker stats` computes it. */
export interface ContainerStats {
  readonly id: string
  readonly name: string
  /** 100 means that one processor is fully used. */
  readonly cpuPercent: number
  readonly memory: { readonly used: number; readonly limit: number; readonly percent: number }
  /** Bytes received and sent since the container started. */
  readonly network: { readonly received: number; readonly sent: number }
  /** Bytes read and written since the container started. */
  readonly block: { readonly read: number; readonly written: number }
  readonly pids: number
}

interface CpuReading {
  readonly cpu_usage: {
    readonly total_usage: number
    readonly percpu_usage?: readonly number[] | undefined
  }
  readonly system_cpu_usage?: number | undefined
  readonly online_cpus?: number | undefined
}

interface NetworkReading {
  readonly rx_bytes: number
  readonly tx_bytes: number
}

interface BlockReading {
  readonly op: string
  readonly value: number
}

/** The counters of a container (ContainerStats). Most parts are empty if the container is not running. */
export interface StatsReading {
  readonly id: string
  readonly name: string
  readonly cpu_stats: CpuReading
  readonly precpu_stats: CpuReading
  readonly memory_stats: {
    readonly usage?: number | undefined
    readonly limit?: number | undefined
    readonly stats?: Readonly<Record<string, number>> | undefined
  }
  readonly networks?: Readonly<Record<string, NetworkReading>> | undefined
  readonly blkio_stats: {
    readonly io_service_bytes_recursive?: readonly BlockReading[] | undefined
  }
  readonly pids_stats: { readonly current?: number | undefined }
}

const readCpu: Read<CpuReading> = object<CpuReading>({
  cpu_usage: object<CpuReading['cpu_usage']>({
    total_usage: number,
    percpu_usage: optional(list(number)),
  }),
  system_cpu_usage: optional(number),
  online_cpus: optional(number),
})

const readReading: Read<StatsReading> = object<StatsReading>({
  id: withDefault(text, ''),
  name: text,
  cpu_stats: readCpu,
  precpu_stats: readCpu,
  memory_stats: object<StatsReading['memory_stats']>({
    usage: optional(number),
    limit: optional(number),
    stats: optional(record(number)),
  }),
  networks: optional(record(object<NetworkReading>({ rx_bytes: number, tx_bytes: number }))),
  blkio_stats: object<StatsReading['blkio_stats']>({
    io_service_bytes_recursive: optional(list(object<BlockReading>({ op: text, value: number }))),
  }),
  pids_stats: object<StatsReading['pids_stats']>({ current: optional(number) }),
})

/** Measures the resource usage of a container once, which takes a second or two. */
export async function readStats(
  engine: Engine,
  container: string,
  signal?: AbortSignal,
): Promise<ContainerStats> {
  return computeStats(await engine.json(statsRequest(container, false, signal), readReading))
}

/**
 * Reads the counters of a container. Unlike `readStats`, it does not wait for a second reading (API 1.41; older engines
 * wait). Pass the previous reading to {@link computeStats}.
 */
export const readCounters = (
  engine: Engine,
  container: string,
  signal?: AbortSignal,
): Promise<StatsReading> => {
  const request = statsRequest(container, false, signal)
  return engine.json({ ...request, query: { ...request.query, 'one-shot': true } }, readReading)
}

/** Streams the resource usage of a container, about once a second, until the container is removed. */
export async function* streamStats(
  engine: Engine,
  container: string,
  signal?: AbortSignal,
): AsyncGenerator<ContainerStats, void> {
  const readings = engine.lines(statsRequest(container, true, signal), readReading)
  for await (const reading of readings) yield computeStats(reading)
}

const statsRequest = (container: string, stream: boolean, signal?: AbortSignal) => ({
  path: `/containers/${encodeURIComponent(container)}/stats`,
  query: { stream },
  ...(signal && { signal }),
})

/**
 * Computes resource usage from counters (formulas: API reference, ContainerStats). `before` is an earlier reading,
 * which is needed if `reading` does not contain one.
 */
export function computeStats(reading: StatsReading, before?: StatsReading): ContainerStats {
  const used = usedMemory(reading.memory_stats)
  const limit = reading.memory_stats.limit ?? 0
  const networks = Object.values(reading.networks ?? {})
  return {
    id: reading.id,
    name: reading.name.replace(/^\//, ''),
    cpuPercent: cpuPercent(reading.cpu_stats, before?.cpu_stats ?? reading.precpu_stats),
    memory: { used, limit, percent: limit === 0 ? 0 : (used / limit) * 100 },
    network: {
      received: sum(networks.map((network) => network.rx_bytes)),
      sent: sum(networks.map((network) => network.tx_bytes)),
    },
    block: { read: blockBytes(reading, 'r'), written: blockBytes(reading, 'w') },
    pids: reading.pids_stats.current ?? 0,
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

function cpuPercent(now: CpuReading, before: CpuReading): number {
  if (now.system_cpu_usage === undefined || before.system_cpu_usage === undefined) return 0
  const container = now.cpu_usage.total_usage - before.cpu_usage.total_usage
  const system = now.system_cpu_usage - before.system_cpu_usage
  // Older engines report only the usage of each individual processor.
  const processors = now.online_cpus ?? now.cpu_usage.percpu_usage?.length ?? 0
  return system > 0 && container > 0 ? (container / system) * processors * 100 : 0
}

/** Returns the memory usage without the page cache, which is named differently in cgroup v1 and v2. */
function usedMemory({ usage = 0, stats = {} }: StatsReading['memory_stats']): number {
  const cache = stats['total_inactive_file'] ?? stats['inactive_file'] ?? 0
  return cache < usage ? usage - cache : usage
}

/** Adds up the bytes that were read or written. cgroup v1 reports `Read` and `Write`, v2 `read` and `write`. */
const blockBytes = ({ blkio_stats }: StatsReading, initial: string): number =>
  sum(
    (blkio_stats.io_service_bytes_recursive ?? [])
      .filter(({ op }) => op.toLowerCase().startsWith(initial))
      .map(({ value }) => value),
  )
