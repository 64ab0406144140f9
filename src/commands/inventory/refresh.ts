import type { Drift } from '../../operations/plan/change-plan.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { defineCommand } from '../command.ts'
import { chosenNames, computePlan, planOptions } from './plan.ts'

const columns: readonly Column<Drift>[] = [
  { title: 'MACHINE', text: ({ machine }) => machine, keep: true },
  { title: 'FIELD', text: ({ field }) => field },
  { title: 'WAS', text: ({ expected = '' }) => expected },
  { title: 'IS', text: ({ actual = 'not running' }) => actual },
]

export const refresh = defineCommand({
  name: 'refresh',
  summary: 'Update the inventory with the current host state',
  description:
    'Query all hosts and record in the inventory any addresses, operating systems and Docker versions that have changed outside of fleet. The hosts are not changed.',
  options: planOptions,
  targets: 'many',
  allAtOnce: true,
  answers: 'json',
  async run({ fleet, io, options, targets, format }) {
    const { refreshRecords } = await import('../../operations/plan/refresh-records.ts')
    const chosen = await chosenNames({ fleet, targets })
    const { drift } = await computePlan({ fleet, io, format }, chosen, options)
    const rows = await refreshRecords(fleet, drift)
    if (rows.length === 0 && !format.json) io.stderr.write('nothing has changed outside of fleet\n')
    else await writeRows(io, format, { rows, columns })
  },
})
