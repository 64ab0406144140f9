import { UserError, exitCodes } from '../../errors.ts'
import type { Orphan } from '../../operations/machine/collect-garbage.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import { humanAge } from '../../ui/human-units.ts'
import { canPrompt } from '../../ui/prompt.ts'
import { withProgress } from '../../ui/progress/progress.ts'
import { type Column, writeJson, writeRows } from '../../ui/table.ts'
import { any, defineCommand, texts } from '../command.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'

/** A host that has no entry in the inventory, as `fleet gc` shows it. */
interface Row extends Pick<Orphan, 'driver' | 'machine' | 'token' | 'parts'> {
  readonly created: string | undefined
  readonly createdBy: string | undefined
  readonly protected: boolean
  /** Why the host is kept unless the user specifies its name. */
  readonly keptBecause: string | undefined
}

const columns: readonly Column<Row>[] = [
  { title: 'DRIVER', text: ({ driver }) => driver, drop: 1 },
  { title: 'MACHINE', text: ({ machine }) => machine, keep: true },
  {
    title: 'CREATED',
    text: ({ created }) =>
      created === undefined ? '' : humanAge(new Date(created).getTime() / 1000),
  },
  { title: 'CREATED BY', text: ({ createdBy = '' }) => createdBy, drop: 2 },
  { title: 'RESOURCES', text: ({ parts }) => parts.join(', ') },
  { title: 'KEPT', text: ({ keptBecause = '' }) => keptBecause, wrap: true },
]

const byMachine = (a: Orphan, b: Orphan): number =>
  a.driver.localeCompare(b.driver) || a.machine.localeCompare(b.machine)

const warning = `These hosts may belong to another clone of this inventory with changes that have not been merged yet.
Before you remove a host, ask whoever created it.
`

const has =
  (name: string) =>
  ({ machine, token }: Orphan): boolean =>
    machine === name || token === name

/**
 * Returns the orphans that have these machine names or tokens. Throws kind `unknown-machine` for a name that none of
 * them has.
 */
function named(orphans: readonly Orphan[], names: readonly string[]): readonly Orphan[] {
  const missing = names.find((name) => !orphans.some(has(name)))
  if (missing !== undefined) {
    throw new UserError('unknown-machine', `no unmanaged host named ${missing} was found`, {
      hint: 'to list hosts that are not in the inventory: fleet gc',
    })
  }
  return orphans.filter((orphan) => names.some((name) => has(name)(orphan)))
}

export const gc = defineCommand({
  name: 'gc',
  summary: 'Remove hosts that are not in the inventory',
  description:
    'Find hosts that fleet created for this inventory but that are no longer in it, and remove them after confirmation. Such a host may belong to another clone of the inventory with changes that have not been merged yet, so hosts that are protected or less than a day old are kept unless you specify their names. Without a terminal and without --yes, the hosts are only listed. The search covers all regions of every provider account that this inventory has used, as recorded in its git history and on this computer.',
  arguments: {
    names: any(
      'name',
      'machine name or creation token (in --json output) of a host to remove, even if it is new or protected',
    ),
  },
  options: {
    driver: texts(
      '-d, --driver <driver>',
      "search only this driver's provider (repeatable; default: all drivers in use)",
      'driver',
    ),
    yes: yesOption,
  },
  worksOnSeveral: true,
  answers: 'json',
  examples: ['fleet gc', 'fleet gc --driver aws --yes', 'fleet gc web-1 --yes'],
  async run({ fleet, io, args, options, targets, format }) {
    const { findOrphans, reasonToKeep, removeOrphan } =
      await import('../../operations/machine/collect-garbage.ts')
    const drivers = options.driver.length === 0 ? undefined : options.driver
    const given = [
      ...args.names,
      ...options.driver.flatMap((driver) => ['--driver', driver]),
      ...(fleet.inventoryFile === undefined ? [] : ['--inventory', fleet.inventoryFile]),
    ]
    const command = ['fleet gc', ...given.map(shellQuote)].join(' ')
    const { orphans: found, skipped } = await withProgress(
      io,
      format,
      'fleet gc',
      (progress) => findOrphans(fleet, { drivers, everywhere: true, progress }),
      { isMachine: false },
    )
    const all = found.toSorted(byMachine)
    const isNamed = args.names.length > 0
    const chosen = isNamed ? named(all, args.names) : all
    const now = new Date()
    const keptBecause = (orphan: Orphan) => (isNamed ? undefined : reasonToKeep(orphan, now))
    const rowOf = (orphan: Orphan): Row => {
      const { driver, machine, token, parts, origin } = orphan
      return {
        ...{ driver, machine, token, parts, protected: origin.protected },
        ...{ created: origin.created, createdBy: origin.createdBy },
        keptBecause: keptBecause(orphan),
      }
    }
    for (const { place, reason } of skipped)
      io.stderr.write(`could not query ${place}: ${reason}\n`)
    const skippedCode = skipped.length === 0 ? exitCodes.ok : exitCodes.failed
    const removable = chosen.filter((orphan) => keptBecause(orphan) === undefined)
    if (!format.json && chosen.length === 0) {
      const scope = skipped.length === 0 ? '' : ', but not all providers could be queried'
      io.stderr.write(`no unmanaged hosts were found${scope}\n`)
    } else if (!format.json) {
      await writeRows(io, format, { rows: chosen.map(rowOf), columns })
      io.stderr.write(warning)
    }
    if (removable.length === 0 || !(options.yes || canPrompt(io))) {
      if (format.json) writeJson(io, chosen.map(rowOf))
      else if (removable.length > 0) io.stderr.write(`to remove the hosts: ${command} --yes\n`)
      else if (chosen.length > 0) io.stderr.write('to remove a host anyway: fleet gc NAME\n')
      return skippedCode
    }
    const count = removable.length === 1 ? '1 host' : `${removable.length} hosts`
    await requireConsent(
      io,
      options.yes,
      `This will delete ${count} and all data on ${removable.length === 1 ? 'it' : 'them'}. Continue?`,
    )
    const outcomes = await workOnMachines(
      { fleet, io, format },
      removable.map((orphan) => ({ name: orphan.machine, orphan })),
      async ({ orphan }, calls) => {
        await removeOrphan(fleet.with({ signal: calls.signal }), orphan, calls)
        return rowOf(orphan)
      },
      { concurrency: targets.parallel },
    )
    const { values, code } = summarize({ io, format }, outcomes)
    if (format.json) writeJson(io, values)
    else io.stderr.write(`removed ${values.length === 1 ? '1 host' : `${values.length} hosts`}\n`)
    return code === exitCodes.ok ? skippedCode : code
  },
})
