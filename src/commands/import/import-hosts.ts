import { UserError, exitCodes } from '../../errors.ts'
import { parseLabels } from '../../machine/labels.ts'
import type { Progress } from '../../os/progress.ts'
import type { CreatedMachine } from '../../operations/create/create-machine.ts'
import type { Outcome } from '../../operations/fan-out/fan-out.ts'
import type {
  ImportedHost,
  ImportedHosts,
  SkippedHost,
} from '../../operations/import/imported-host.ts'
import type { HostKeyTrust } from '../../operations/trust/trust-host-key.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { counted } from '../../ui/human-units.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { type Invocation, flag, text, texts } from '../command.ts'
import { confirmJumpOn } from '../options/confirmation.ts'
import { reportMachines } from '../machine/report-machine.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'
import type { Candidate, Choice } from './choose-hosts.ts'
import { openHostKeyQuestions } from './host-key-questions.ts'

/** The options that all import commands have. */
export const importOptions = {
  dryRun: flag('--dry-run', 'show what would be imported, without changing anything'),
  only: texts(
    '--only <selector>',
    'import only hosts that match a selector, such as web-* or role=web (repeatable)',
  ),
  acceptNew: flag('--accept-new', 'trust new host keys without asking'),
  user: text('-u, --user <user>', 'login user for hosts that have no user in the imported file'),
  label: texts('-l, --label <key=value>', 'label for all imported machines (repeatable)', 'label'),
} as const

/** The values of {@link importOptions}. */
interface ImportRequest {
  readonly dryRun: boolean
  readonly only: readonly string[]
  readonly acceptNew: boolean
  readonly label: readonly string[]
}

/** Options for the import of one host. */
interface HostRequest {
  readonly trust: HostKeyTrust
  readonly labels: Readonly<Record<string, string>>
  readonly progress: Progress
}

type Environment = Pick<Invocation, 'fleet' | 'io' | 'format'>

/** The hosts of another tool, and functions to show and import them. */
interface Source<Host> {
  readonly hosts: readonly Host[]
  readonly skipped: readonly SkippedHost[]
  readonly notes?: ImportedHosts['notes']
  readonly columns: readonly Column<Host>[]
  /** Whether only the names of the hosts, not their addresses, are known before the import. */
  readonly onlyNames?: boolean
  readonly importHost: (
    host: Host,
    request: HostRequest,
    fleet: Invocation['fleet'],
  ) => Promise<CreatedMachine>
}

/** Prints to stderr which hosts are skipped, and why. */
function reportSkipped({ io }: Environment, skipped: readonly SkippedHost[]): void {
  for (const { title, reason } of skipped) io.stderr.write(`skipped: ${title}: ${reason}\n`)
}

/** Prints to stderr which hosts are already machines. */
function reportPresent<Host extends Candidate>(
  { io, format }: Environment,
  present: Choice<Host>['present'],
): void {
  if (format.json) return
  for (const { host, machine } of present) {
    const as = machine === host.name ? '' : ` as ${machine}`
    io.stderr.write(`${host.name}: already in the inventory${as}\n`)
  }
}

/**
 * Imports those hosts of another tool that are not machines yet, or only shows them if `dryRun` is set. Prints which
 * hosts are skipped and why, and how many were imported. Returns exit code 1 if a host was skipped because of a problem
 * or could not be imported.
 */
export async function importFrom<Host extends Candidate>(
  environment: Environment,
  { hosts, skipped: unread, notes = [], columns, importHost, onlyNames = false }: Source<Host>,
  { dryRun, only, acceptNew, label }: ImportRequest,
): Promise<number> {
  const { fleet, io, format } = environment
  if (hosts.length === 0 && unread.length === 0) {
    throw new UserError('usage', 'there are no hosts to import')
  }
  const { machines } = await (await fleet.inventory()).read()
  const { chooseHosts, inBatches } = await import('./choose-hosts.ts') // not needed for --help
  const choice = chooseHosts(machines, hosts, { only, keepsNames: onlyNames })
  const { chosen, present } = choice
  const skipped = [...unread, ...choice.skipped]
  const skippedCode = skipped.length === 0 ? exitCodes.ok : exitCodes.failed
  reportSkipped(environment, skipped)
  reportPresent(environment, present)
  for (const { title, note } of notes) {
    if (chosen.some(({ name }) => name === title)) io.stderr.write(`${title}: ${note}\n`)
  }
  if (dryRun) {
    await writeRows(io, format, { rows: chosen, columns })
    return skippedCode
  }
  if (!format.json && chosen.length > 0) {
    io.stderr.write(
      `importing ${counted(chosen.length, 'host')}: ${foldNames(chosen.map(({ name }) => name))}\n`,
    )
  }
  const trustOf = openHostKeyQuestions(io, acceptNew)
  const labels = parseLabels(label)
  const outcomes: Outcome<Host, CreatedMachine>[] = []
  for (const turn of inBatches(chosen)) {
    const done = await workOnMachines(
      environment,
      turn,
      (host, { progress, signal }) => {
        const place = { number: chosen.indexOf(host) + 1, of: chosen.length }
        return importHost(host, { trust: trustOf(place), labels, progress }, fleet.with({ signal }))
      },
      { concurrency: acceptNew ? undefined : 1, throwsAlone: chosen.length === 1 }, // so there is one prompt at a time
    )
    outcomes.push(...done)
  }
  const isDeclined = (outcome: Outcome<Host, CreatedMachine>): boolean =>
    'error' in outcome && outcome.error.kind === 'cancelled'
  const declined = outcomes.filter(isDeclined).map(({ machine }) => machine.name)
  if (declined.length > 0)
    io.stderr.write(`not imported, as you requested: ${foldNames(declined)}\n`)
  const { values, failed, code } = summarize(
    { io, format },
    outcomes.filter((outcome) => !isDeclined(outcome)),
  )
  await reportMachines({ fleet, io, format }, values, { many: true })
  if (!format.json) {
    const counts = [
      [present.length, 'already in the inventory'],
      [skipped.length + declined.length, 'skipped'],
      [failed.length, 'failed'],
    ] as const
    const others = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
    io.stderr.write(`${[`${values.length} imported`, ...others].join(', ')}\n`)
  }
  return code === exitCodes.ok ? skippedCode : code
}

/** Runs an import command: imports the hosts, after asking about each host's jump hosts. Returns the exit code. */
export async function importHosts(
  environment: Environment,
  { hosts, skipped, notes }: ImportedHosts,
  request: ImportRequest & { readonly user: string | undefined },
): Promise<number> {
  const confirmJump = confirmJumpOn(environment.io)
  const { importHost } = await import('../../operations/import/import-host.ts')
  const source: Source<ImportedHost> = {
    hosts,
    skipped,
    notes,
    columns,
    importHost: (host, how, fleet) =>
      importHost(fleet, host, { ...how, confirmJump, user: request.user }),
  }
  return importFrom(environment, source, request)
}

const columns: readonly Column<ImportedHost>[] = [
  { title: 'NAME', text: ({ name }) => name, keep: true },
  {
    title: 'ADDRESS',
    keep: true,
    text: ({ address = '', port }) => (port === undefined ? address : `${address}:${port}`),
  },
  { title: 'DRIVER', text: ({ known }) => known?.driver ?? 'ssh', drop: 2 },
  { title: 'USER', text: ({ user = '' }) => user },
  { title: 'VIA', text: ({ jumps = [] }) => jumps.join(','), drop: 1 },
  {
    title: 'LABELS',
    drop: 3,
    text: ({ labels = {} }) =>
      Object.entries(labels)
        .map((pair) => pair.join('='))
        .join(' '),
  },
]
