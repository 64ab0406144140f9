import type { DiskUsageRow } from '../../engine/disk-usage.ts'
import { humanSize } from '../../ui/human-units.ts'
import type { Column } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'
import { listFromEngines } from '../multi/query-engines.ts'

const columns: readonly Column<DiskUsageRow>[] = [
  { title: 'KIND', text: (row) => row.kind, width: 12, keep: true },
  { title: 'TOTAL', text: (row) => String(row.total), drop: 2 },
  { title: 'ACTIVE', text: (row) => String(row.active), drop: 1 },
  { title: 'SIZE', text: (row) => humanSize(row.size), width: 7, keep: true },
  { title: 'RECLAIMABLE', text: (row) => humanSize(row.reclaimable) },
]

export const df = defineCommand({
  name: 'df',
  summary: 'Show Docker disk usage',
  description: 'Show how much disk space images, containers, volumes and the build cache use.',
  targets: 'many',
  gathers: true,
  answers: 'json',
  runsInBroker: () => true,
  async run(invocation) {
    const { measuringMs, readDiskUsage, summarizeDiskUsage } =
      await import('../../engine/disk-usage.ts')
    return listFromEngines(invocation, {
      list: async (engine, signal) => summarizeDiskUsage(await readDiskUsage(engine, signal)),
      columns,
      timeMs: measuringMs,
    })
  },
})
