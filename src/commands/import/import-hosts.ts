import { UserError } from '../../errors.ts'
import { parseLabels } from '../../machine/labels.ts'
import type { Machine } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Progress } from '../../operations/context.ts'
import type { CreatedMachine } from '../../operations/create-machine.ts'
import type { HostKeyTrust } from '../../operations/trust-host-key.ts'
import type { ImportedHost, ImportedHosts } from '../../operations/import/imported-host.ts'
import type { Inventory } from '../../state/inventory.ts'
import { type Column, writeRows } from '../../ui/table.ts'
import { type Invocation, flag, text, texts } from '../definition.ts'
import { trustFrom } from '../machines/host-key-options.ts'
import { reportMachines } from '../machines/report-machine.ts'
import { sumUp, workOnMachines } from '../machines/work-on-machines.ts'

/** What every import takes. */
export const importOptions = {
  dryRun: flag('--dry-run', 'only show what there is'),
  acceptNew: flag('--accept-new', 'take the key that each host shows, without asking'),
  user: text('-u, --user <user>', 'who to log in as where nothing else says'),
  label: texts('-l, --label <key=value>', 'a label for all of them (repeatable)', 'label'),
} as const

/** What was said of an import. */
interface Said {
  readonly acceptNew: boolean
  readonly label: readonly string[]
}

/** A host that is to be taken in. */
export interface Candidate {
  readonly name: MachineName
  readonly address?: string | undefined
  readonly port?: number | undefined
  readonly user?: string | undefined
}

/** The machine that a host is already: the one of its name, or the one that the same login leads to. */
function findThere(
  machines: Inventory['machines'],
  { name, address, port = 22, user }: Candidate,
): Machine | undefined {
  const named = machines.get(name)
  if (named?.host !== undefined) return named
  if (address === undefined || user === undefined) return undefined
  return [...machines.values()].find(
    ({ host, via }) =>
      host?.address === address &&
      (host.port ?? 22) === port &&
      host.user === user &&
      via === undefined,
  )
}

/** How one of them is taken in. */
interface Taking {
  readonly trust: HostKeyTrust
  readonly labels: Readonly<Record<string, string>>
  readonly progress: Progress
}

type Surroundings = Pick<Invocation, 'fleet' | 'io' | 'format'>

/** Takes in many hosts, those that are no machines yet, and says what became of them. */
export async function takeIn<Host extends Candidate>(
  { fleet, io, format }: Surroundings,
  hosts: readonly Host[],
  said: Said,
  take: (host: Host, taking: Taking, fleet: Invocation['fleet']) => Promise<CreatedMachine>,
): Promise<number> {
  const { machines } = await (await fleet.inventory()).read()
  const fresh: Host[] = []
  for (const host of hosts) {
    const there = findThere(machines, host)
    if (there === undefined) fresh.push(host)
    else if (!format.json) {
      const as = there.name === host.name ? '' : `, as ${there.name}`
      io.stderr.write(`${host.name}: there already${as}\n`)
    }
  }
  if (fresh.length === 0) {
    if (hosts.length === 0) throw new UserError('usage', 'there are no hosts to take in')
    return 0
  }
  const trust = trustFrom(io, { hostKey: undefined, acceptNew: said.acceptNew })
  const labels = parseLabels(said.label)
  const outcomes = await workOnMachines(
    { fleet, io, format },
    fresh,
    (host, { progress, signal }) => take(host, { trust, labels, progress }, { ...fleet, signal }),
    { concurrency: said.acceptNew ? undefined : 1 }, // one question at a time
  )
  const { values, code } = sumUp({ io, format }, outcomes)
  await reportMachines({ fleet, io, format }, values, { many: true })
  return code
}

/** Takes in, or only shows, the hosts that another tool keeps. */
export async function importHosts(
  surroundings: Surroundings,
  { hosts, skipped }: ImportedHosts,
  said: Said & { readonly dryRun: boolean; readonly user: string | undefined },
): Promise<number> {
  const { io, format } = surroundings
  for (const line of skipped) io.stderr.write(`left out: ${line}\n`)
  if (said.dryRun) {
    await writeRows<ImportedHost>(io, format, { rows: hosts, columns })
    return 0
  }
  const { importHost } = await import('../../operations/import/import-host.ts')
  return takeIn(surroundings, hosts, said, (host, taking, fleet) =>
    importHost(fleet, host, { ...taking, user: said.user }),
  )
}

const columns: readonly Column<ImportedHost>[] = [
  { title: 'NAME', text: ({ name }) => name },
  {
    title: 'ADDRESS',
    text: ({ address = '', port }) => (port === undefined ? address : `${address}:${port}`),
  },
  { title: 'DRIVER', text: ({ known }) => known?.driver ?? 'ssh' },
  { title: 'USER', text: ({ user = '' }) => user },
  {
    title: 'LABELS',
    text: ({ labels = {} }) =>
      Object.entries(labels)
        .map((pair) => pair.join('='))
        .join(' '),
  },
]
