import { expect, test } from 'vitest'
import { type StatsReading, computeStats } from '../../../src/engine/stats.ts'

const reading: StatsReading = {
  id: '5e73417933e9',
  name: '/web',
  pids_stats: { current: 2 },
  cpu_stats: {
    cpu_usage: { total_usage: 500_000_000, percpu_usage: [200_000_000, 300_000_000] },
    system_cpu_usage: 2_264_000_000_000,
    online_cpus: 2,
  },
  precpu_stats: {
    cpu_usage: { total_usage: 0, percpu_usage: [0, 0] },
    system_cpu_usage: 2_262_000_000_000,
    online_cpus: 2,
  },
  memory_stats: {
    usage: 1_000_000,
    limit: 4_000_000,
    // As on cgroup v1, with the values of the cgroup itself next to the totals of the hierarchy.
    stats: { cache: 300_000, inactive_file: 7, total_cache: 300_000, total_inactive_file: 200_000 },
  },
  blkio_stats: {
    io_service_bytes_recursive: [
      { op: 'Read', value: 100 },
      { op: 'Write', value: 20 },
      { op: 'Sync', value: 120 },
      { op: 'Total', value: 120 },
      { op: 'Read', value: 5 },
    ],
  },
  networks: {
    eth0: { rx_bytes: 572, tx_bytes: 10 },
    eth1: { rx_bytes: 8, tx_bytes: 1 },
  },
}

test('computes stats of a host with cgroup v1', () => {
  expect(computeStats(reading)).toEqual({
    id: '5e73417933e9',
    name: 'web',
    cpuPercent: 50,
    memory: { used: 800_000, limit: 4_000_000, percent: 20 },
    network: { received: 580, sent: 11 },
    block: { read: 105, written: 20 },
    pids: 2,
  })
})

test('computes stats of a host with cgroup v2', () => {
  const { memory, block } = computeStats({
    ...reading,
    memory_stats: {
      usage: 1_000_000,
      limit: 4_000_000,
      stats: { anon: 500_000, file: 400_000, active_file: 100_000, inactive_file: 300_000 },
    },
    blkio_stats: {
      io_service_bytes_recursive: [
        { op: 'read', value: 4096 },
        { op: 'write', value: 8192 },
      ],
    },
  })
  expect({ memory, block }).toEqual({
    memory: { used: 700_000, limit: 4_000_000, percent: 17.5 },
    block: { read: 4096, written: 8192 },
  })
})

test('counts the processors that an engine lists if it does not report their number', () => {
  const { online_cpus: _, ...cpu_stats } = reading.cpu_stats
  expect(computeStats({ ...reading, cpu_stats }).cpuPercent).toBe(50)
})

test('shows no processor usage for the first reading', () => {
  const precpu_stats = { cpu_usage: { total_usage: 0 } }
  expect(computeStats({ ...reading, precpu_stats }).cpuPercent).toBe(0)
})

test('does not subtract a cache that is larger than the usage', () => {
  const memory_stats = { usage: 10, limit: 100, stats: { total_inactive_file: 20 } }
  expect(computeStats({ ...reading, memory_stats }).memory.used).toBe(10)
})

test('shows zeros for a container that is not running', () => {
  const { networks: _, ...rest } = reading
  const stopped: StatsReading = {
    ...rest,
    cpu_stats: { cpu_usage: { total_usage: 0 } },
    precpu_stats: { cpu_usage: { total_usage: 0 } },
    memory_stats: {},
    blkio_stats: {},
    pids_stats: {},
  }
  expect(computeStats(stopped)).toMatchObject({
    cpuPercent: 0,
    memory: { used: 0, limit: 0, percent: 0 },
    network: { received: 0, sent: 0 },
    block: { read: 0, written: 0 },
    pids: 0,
  })
})
