import { UserError } from '../../errors.ts'
import type { Machine, ReadyMachine } from '../../machine/machine.ts'
import { checkEngine } from '../../provision/engine/upgrade.ts'
import type { Effect, SettingChange } from '../../provision/engine/settings/engine-settings.ts'
import {
  describeChange,
  describeEffect,
  planSettings,
} from '../../provision/engine/settings/plan-settings.ts'
import type { HostProbe } from '../../provision/host/probe.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { type Change, type Drift, type PlanPart, issueOf } from './change-plan.ts'
import type { Context } from '../context.ts'
import { operatorsOf, readOperators } from '../operators/install-operator-keys.ts'
import { observedFacts } from '../adopt/observed-facts.ts'
import { planOperators } from './plan-unready.ts'
import { type ProbeTarget, probeHost } from '../adopt/probe-host.ts'
import { checkConfigurable, readEngineState, settingsOf } from '../provision/prepare-settings.ts'

/** The recorded facts about a host that have changed. */
function findDrift({ name, host }: ReadyMachine, address: string | undefined, probe: HostProbe) {
  const { os, arch, engine } = observedFacts(probe)
  const facts = { address, os, arch, engine }
  return (['address', 'os', 'arch', 'engine'] as const).flatMap((field): Drift[] => {
    const [expected, actual] = [host[field], facts[field]]
    if (actual === expected || (actual === undefined && field !== 'engine')) return []
    return [
      {
        ...{ machine: name, field },
        ...(expected !== undefined && { expected }),
        ...(actual !== undefined && { actual }),
      },
    ]
  })
}

/** Plans an upgrade of the engine, or reports an issue, if the entry specifies a different version. */
function planEngineUpgrade({ name, engine }: Machine, probe: HostProbe): PlanPart {
  const judged = checkEngine(probe, typeof engine === 'object' ? engine : {})
  switch (judged.kind) {
    case 'fits':
      return {}
    case 'upgrade': {
      const why = `${judged.from} -> ${judged.to}; restarts the engine and its containers`
      return { changes: [{ machine: name, action: 'engine', why }] }
    }
    case 'matter':
      return { issues: [{ machine: name, why: judged.why, hint: judged.hint }] }
  }
}

/** Plans the changes to the engine's settings. Those that lose images and containers become a separate change. */
async function planEngineConfig(
  context: Context,
  machine: Machine,
  target: ProbeTarget,
  probe: HostProbe,
): Promise<PlanPart> {
  const settings = await settingsOf(context, machine)
  const hasEngine = probe.daemon || probe.engine?.version !== undefined
  if (settings === undefined || !hasEngine) return {}
  checkConfigurable(machine.name, probe, settings)
  const state = await readEngineState(target, settings)
  const { changes, skipped, effect } = planSettings(state, settings, { destructive: false })
  const part = (some: readonly SettingChange[], how: Effect): Change => ({
    machine: machine.name,
    action: 'engine-config',
    why: `${some.map(describeChange).join(', ')}; ${describeEffect(how, some, state)}`,
    effect: how,
    ...(how === 'destructive' && { destructive: true }),
    options: some.map(({ option, from, to }) => ({ option, from, to })),
  })
  return {
    changes: [
      ...(changes.length === 0 ? [] : [part(changes, effect)]),
      ...(skipped.length === 0 ? [] : [part(skipped, 'destructive')]),
    ],
  }
}

/** Converts an error about the engine's settings to an issue, since the rest of the plan does not depend on them. */
function settingsIssue({ name }: Machine, error: unknown): PlanPart {
  if (!(error instanceof UserError) || error.kind === 'unreachable' || error.kind === 'cancelled') {
    throw error
  }
  return { issues: [{ machine: name, ...issueOf(error) }] }
}

/**
 * Inspects a running host at the current address that its provider reports. Plans the changes of its operators and its
 * engine.
 */
export async function detectDrift(
  context: Context,
  inventory: Inventory,
  { host, ...machine }: ReadyMachine,
  address: string | undefined,
): Promise<PlanPart> {
  const now = { ...machine, host: { ...host, ...(address !== undefined && { address }) } }
  const { signal } = context
  const transport = await context.connect(now)
  const target = { machine: machine.name, transport, socket: host.socket, signal }
  const probe = await probeHost(target)
  const operatorTarget = { fleet: inventory.id, machine: now, signal }
  const isRemote = now.host.address !== undefined
  const there = isRemote ? await readOperators(transport, operatorTarget) : undefined
  const wanted = isRemote ? operatorsOf(inventory, now) : []
  const engine = planEngineUpgrade(now, probe)
  const config = await planEngineConfig(context, now, target, probe).catch((error: unknown) =>
    settingsIssue(now, error),
  )
  return {
    issues: [...(engine.issues ?? []), ...(config.issues ?? [])],
    changes: [
      ...(there ? planOperators(now, wanted, there) : []),
      ...(engine.changes ?? []),
      ...(config.changes ?? []),
    ],
    drift: findDrift({ ...machine, host }, now.host.address, probe),
  }
}
