import { exitCodes } from '../../errors.ts'
import type { Orphan } from '../../operations/collect-garbage.ts'
import { canPrompt } from '../../ui/prompt.ts'
import { withProgress } from '../../ui/progress.ts'
import { type Column, writeJson, writeRows } from '../../ui/table.ts'
import { defineCommand, texts } from '../definition.ts'
import { requireConsent, yesOption } from './confirmation.ts'
import { sumUp, workOnMachines } from './work-on-machines.ts'

/** What is left over, as it is told. */
type Row = Pick<Orphan, 'driver' | 'machine' | 'token' | 'parts'>

const columns: readonly Column<Row>[] = [
  { title: 'DRIVER', text: (row) => row.driver },
  { title: 'MACHINE', text: (row) => row.machine },
  { title: 'WHAT', text: (row) => row.parts.join(', ') },
]

const rowOf = ({ driver, machine, token, parts }: Orphan): Row => ({
  driver,
  machine,
  token,
  parts,
})

const byMachine = (a: Row, b: Row): number =>
  a.driver.localeCompare(b.driver) || a.machine.localeCompare(b.machine)

export const gc = defineCommand({
  name: 'gc',
  summary: 'Find and remove hosts that fleet made and no entry owns',
  description:
    'Find what fleet made for this inventory and no entry owns, and remove it when you say so. Without a terminal and without --yes it lists only.',
  options: {
    driver: texts('-d, --driver <driver>', 'look there only (repeatable)', 'driver'),
    yes: yesOption,
  },
  worksOnSeveral: true,
  answers: 'json',
  examples: ['fleet gc', 'fleet gc --driver aws --yes'],
  async run({ fleet, io, options, targets, format }) {
    const { findOrphans, removeOrphan } = await import('../../operations/collect-garbage.ts')
    const drivers = options.driver.length === 0 ? undefined : options.driver
    const found = await withProgress(io, format, 'fleet gc', (progress) =>
      findOrphans(fleet, drivers, progress),
    )
    const orphans = found.toSorted(byMachine)
    const removes = orphans.length > 0 && (options.yes || canPrompt(io))
    if (!format.json && orphans.length === 0) io.stderr.write('nothing is left over\n')
    else if (!format.json) await writeRows(io, format, { rows: orphans.map(rowOf), columns })
    if (!removes) {
      if (format.json) writeJson(io, orphans.map(rowOf))
      else if (orphans.length > 0) io.stderr.write('to remove it: fleet gc --yes\n')
      return exitCodes.ok
    }
    await requireConsent(io, options.yes, `Remove what is left of ${orphans.length} machines?`)
    const outcomes = await workOnMachines(
      { fleet, io, format },
      orphans.map((orphan) => ({ name: orphan.machine, orphan })),
      async ({ orphan }, calls) => {
        await removeOrphan({ ...fleet, signal: calls.signal }, orphan, calls)
        return rowOf(orphan)
      },
      { concurrency: targets.parallel },
    )
    const { values, code } = sumUp({ io, format }, outcomes)
    if (format.json) writeJson(io, values)
    else io.stderr.write(`removed what was left of ${values.length} machines\n`)
    return code
  },
})
