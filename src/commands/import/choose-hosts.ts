import { UserError } from '../../errors.ts'
import { type Machine, isSameLogin } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { parseSelector, selects } from '../../machine/selector.ts'
import type { SkippedHost } from '../../operations/import/imported-host.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'

/** A host that may be imported. */
export interface Candidate {
  readonly name: MachineName
  readonly address?: string | undefined
  readonly port?: number | undefined
  readonly user?: string | undefined
  readonly labels?: Readonly<Record<string, string>>
  readonly jumps?: readonly string[]
}

/** The hosts of another tool, grouped by what the import does with them. */
export interface Choice<Host> {
  readonly chosen: readonly Host[]
  /** Hosts that are already machines, with the machine's name. */
  readonly present: readonly { readonly host: Host; readonly machine: MachineName }[]
  readonly skipped: readonly SkippedHost[]
}

/** Whether a candidate is the host of a machine: it has the same address and login, as far as these are known. */
const isSameHost = ({ host }: Machine, candidate: Candidate): boolean =>
  host !== undefined && (candidate.address === undefined || isSameLogin(host, candidate))

/**
 * Chooses the hosts to import: those that match `only` and are not machines yet. A host is skipped if the inventory
 * already has a different host with its name. Throws kind `usage` when `only` matches no host.
 * @param keepsNames treat a host as the machine of the same name, because addresses are not known yet
 */
export function chooseHosts<Host extends Candidate>(
  machines: Inventory['machines'],
  hosts: readonly Host[],
  { only, keepsNames }: { readonly only: readonly string[]; readonly keepsNames: boolean },
): Choice<Host> {
  const selector = parseSelector(only)
  const wanted = only.length === 0 ? hosts : hosts.filter((host) => selects(selector, host))
  if (wanted.length === 0 && hosts.length > 0) {
    throw new UserError(
      'usage',
      `--only ${only.join(' --only ')} does not match any of the hosts`,
      {
        hint: 'to list all hosts, use --dry-run without --only',
      },
    )
  }
  const chosen: Host[] = []
  const present: { host: Host; machine: MachineName }[] = []
  const skipped: SkippedHost[] = []
  for (const host of wanted) {
    const named = machines.get(host.name)
    const same = [...machines.values()].find(
      (machine) =>
        host.address !== undefined && host.user !== undefined && isSameHost(machine, host),
    )
    if (named?.host !== undefined && (keepsNames || isSameHost(named, host))) {
      present.push({ host, machine: host.name })
    } else if (same !== undefined) present.push({ host, machine: same.name })
    else if (named?.host === undefined) chosen.push(host)
    else {
      const reason = `the inventory already has a different host named ${host.name} (${named.host.address ?? named.driver}); to rename that host: fleet rename ${host.name} OTHER`
      skipped.push({ title: host.name, reason })
    }
  }
  return { chosen, present, skipped }
}

/**
 * Splits the hosts into batches, which must be imported in this order: first, the hosts without jump hosts; then, in a
 * separate batch for each chain of jump hosts, one host whose import adds the jump hosts as machines; and finally, all
 * other hosts.
 */
export function inBatches<Host extends Candidate>(
  hosts: readonly Host[],
): readonly (readonly Host[])[] {
  const direct = hosts.filter(({ jumps = [] }) => jumps.length === 0)
  const byChain = new Map<string, Host[]>()
  for (const host of hosts) {
    const chain = host.jumps?.join(',') ?? ''
    if (chain !== '') byChain.set(chain, [...(byChain.get(chain) ?? []), host])
  }
  const behind = [...byChain.values()]
  const firsts = behind.flatMap(([first]) => (first === undefined ? [] : [[first]]))
  const others = behind.flatMap(([, ...rest]) => rest)
  return [direct, ...firsts, others].filter((turn) => turn.length > 0)
}
