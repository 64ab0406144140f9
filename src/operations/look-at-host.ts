import type { Machine, ReadyMachine } from '../machine/machine.ts'
import type { HostProbe } from '../provision/host-probe.ts'
import type { Inventory } from '../state/inventory.ts'
import type { Drift, Finding, Matter } from './change-plan.ts'
import type { Context } from './context.ts'
import { operatorsOf, readOperators } from './let-operators-in.ts'
import { observedFacts } from './observed-facts.ts'
import { planOperators } from './plan-unready.ts'
import { probeHost } from './probe-host.ts'

/** What is remembered of a host and is another way now. */
function findDrift({ name, host }: ReadyMachine, address: string | undefined, probe: HostProbe) {
  const { os, arch, engine } = observedFacts(probe)
  const seen = { address, os, arch, engine: engine ?? (host.engine && 'none answers') }
  return (['address', 'os', 'arch', 'engine'] as const).flatMap((field): Drift[] => {
    const [remembered, now] = [host[field], seen[field]]
    if (now === undefined || now === remembered) return []
    return [{ machine: name, field, ...(remembered !== undefined && { remembered }), seen: now }]
  })
}

/** An engine that is there is never changed; that another one is wanted is told. */
function findEngineMatter({ name, engine }: Machine, seen: string | undefined): readonly Matter[] {
  const wanted = typeof engine === 'object' ? engine.version : undefined
  if (wanted === undefined || seen === undefined) return []
  if (seen === wanted || seen.startsWith(`${wanted}.`)) return []
  return [{ machine: name, why: `engine ${wanted} is wanted, and ${seen} is there` }]
}

/** Looks at a host that should run, at the address that its provider gives now. */
export async function lookAtHost(
  context: Context,
  inventory: Inventory,
  { host, ...machine }: ReadyMachine,
  address: string | undefined,
): Promise<Finding> {
  const now = { ...machine, host: { ...host, ...(address !== undefined && { address }) } }
  const { signal } = context
  const transport = await context.connect(now)
  const target = { machine: machine.name, transport, socket: host.socket, signal }
  const probe = await probeHost(target)
  const place = { fleet: inventory.id, machine: now, signal }
  const isRemote = now.host.address !== undefined
  const there = isRemote ? await readOperators(transport, place) : []
  const wanted = isRemote ? operatorsOf(inventory, now) : []
  return {
    changes: planOperators(now, wanted, there),
    drift: findDrift({ ...machine, host }, now.host.address, probe),
    matters: findEngineMatter(now, probe.engine?.version),
  }
}
