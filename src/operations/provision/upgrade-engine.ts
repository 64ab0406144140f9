import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Progress } from '../../os/progress.ts'
import { hasCustomEngine, withPrivileges } from '../../provision/engine/plan-engine.ts'
import {
  type EngineUpgrade,
  decideUpgrade,
  inspectPackages,
  parsePackageState,
  upgradePackage,
} from '../../provision/engine/upgrade-packages.ts'
import type { Step } from '../../provision/host/distributions.ts'
import { observedFacts } from '../adopt/observed-facts.ts'
import { probeHost } from '../adopt/probe-host.ts'
import type { Context } from '../context.ts'
import { askSudoPassword, runStep } from './run-step.ts'

/** Callbacks of {@link upgradeMachine}. */
interface UpgradeCalls {
  /** Whether the package lists of the host have just been refreshed. */
  readonly refreshed?: boolean
  readonly progress: Progress
  /** Called before anything other than the package lists is changed. If it resolves to false, nothing is upgraded. */
  readonly approve: (upgrade: EngineUpgrade) => Promise<boolean>
}

/** The versions of an engine before and after an upgrade. */
export interface UpgradedEngine {
  readonly from: string
  readonly to: string
}

/**
 * Upgrades the engine of a machine to the newest version in its package source or, if `version` is given, to the newest
 * one that begins with it. Containers that ran before must run afterwards, and must not be unhealthy. Returns the
 * versions, which are equal if there was nothing to upgrade or the upgrade was not approved. Throws kind `failed` for
 * packages on hold, for a downgrade, and for containers that are stopped or unhealthy afterwards.
 */
export async function upgradeMachine(
  context: Context,
  machine: Machine,
  version: string | undefined,
  { progress, approve, refreshed = false }: UpgradeCalls,
): Promise<UpgradedEngine> {
  const { name, engine } = machine
  const transport = await context.connect(machine)
  const target = { machine: name, transport, socket: machine.host?.socket, signal: context.signal }
  progress('inspect the host')
  const probe = await probeHost(target)
  if (engine === 'none' || hasCustomEngine(probe)) {
    throw new UserError(
      'unsupported',
      'fleet can upgrade only engines that were installed from packages',
      {
        machine: name,
        hint: 'upgrade the engine by hand, then run fleet refresh',
      },
    )
  }
  const sudo = askSudoPassword(target, probe.user, context.prompt)
  const runAsRoot = async (step: Step): Promise<string> => {
    const [privileged = step] = withPrivileges(probe, [step])
    return runStep(target, privileged, progress, sudo)
  }
  const wanted = version ?? (typeof engine === 'object' ? engine.version : undefined)
  const state = parsePackageState(await runAsRoot(inspectPackages(probe, wanted, { refreshed })))
  const upgrade = decideUpgrade(state, wanted)
  const before = probe.engine?.version ?? state.installed
  if (upgrade === undefined || !(await approve(upgrade))) return { from: before, to: before }
  try {
    await runAsRoot(upgradePackage(upgrade))
  } finally {
    progress('check the engine')
    const facts = observedFacts(await probeHost(target).catch(() => probe))
    const store = await context.inventory()
    await store.update(
      name,
      (entry) => entry && { ...entry, ...(entry.host && { host: { ...entry.host, ...facts } }) },
    )
  }
  const after = await probeHost(target)
  return { from: before, to: after.engine?.version ?? upgrade.to }
}
