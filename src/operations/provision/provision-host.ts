import { hostCommand } from '../../machine/host-command.ts'
import { UserError } from '../../errors.ts'
import type { MachineName } from '../../machine/name.ts'
import type { EngineSpec } from '../../machine/engine-spec.ts'
import type { HostProbe } from '../../provision/host/probe.ts'
import {
  type UpgradePolicy,
  type Plan,
  planEngine,
  withPrivileges,
} from '../../provision/engine/plan-engine.ts'
import {
  type Effect,
  type EngineSettings,
  type SettingChange,
  isEmpty,
  isWorse,
} from '../../provision/engine/settings/engine-settings.ts'
import { planSettings } from '../../provision/engine/settings/plan-settings.ts'
import type { Prompt } from '../../transport/ssh/connect.ts'
import type { Progress } from '../../os/progress.ts'
import { type ProbeTarget, probeHost } from '../adopt/probe-host.ts'
import { waitForCloudInit } from '../create/wait-until-ready.ts'
import { checkConfigurable, readEngineState } from './prepare-settings.ts'
import { askSudoPassword, runStep } from './run-step.ts'

/** Callbacks of provisioning. */
export interface ProvisionCalls {
  readonly progress: Progress
  /** Called with the complete plan before anything is changed. If it resolves to false, nothing is changed. */
  readonly approve: (plan: Plan) => Promise<boolean>
  /** Asks for the sudo password; absent if no one can be asked. */
  readonly prompt?: Prompt | undefined
}

/** The probe of a host after it has been provisioned, and the changes that were made. */
export interface ProvisionedHost {
  readonly probe: HostProbe
  readonly plan: Plan
  /** The output of each step of the plan. */
  readonly output: readonly string[]
  /** Changes to the engine's settings that were not made, because images and containers would have been lost. */
  readonly skipped: readonly SettingChange[]
}

/** The changes that provisioning may make to a host that already has an engine. */
export interface ProvisionAims extends UpgradePolicy {
  readonly settings?: EngineSettings | undefined
  /** The most disruptive effect that a change of settings may have (default: `restart`). */
  readonly most?: Effect | undefined
}

/** Plans the changes of the engine's settings. `skipped` contains the settings that the plan does not change. */
async function planSettingsOf(
  target: ProbeTarget,
  probe: HostProbe,
  { settings, most = 'restart' }: ProvisionAims,
): Promise<{ readonly plan: Plan; readonly skipped: readonly SettingChange[] }> {
  if (settings === undefined || isEmpty(settings)) return { plan: [], skipped: [] }
  checkConfigurable(target.machine, probe, settings)
  const state = await readEngineState(target, settings)
  const planned = planSettings(state, settings, { destructive: most === 'destructive' })
  if (isWorse(planned.effect, most)) {
    throw new UserError('failed', 'the engine settings have changed since the plan was made', {
      machine: target.machine,
      hint: 'make a new plan: fleet plan',
    })
  }
  const { step, skipped } = planned
  return { plan: step === undefined ? [] : withPrivileges(probe, [step]), skipped }
}

/**
 * Installs or repairs the engine of a host, and changes its settings: inspects the host, makes a plan, asks for
 * approval, runs the steps and inspects the host again. A host without an engine gets the one that `wanted` specifies.
 * Changes to settings that lose images and containers are skipped, unless `most` allows them or there was no engine.
 * Throws kind `cancelled` when the plan is not approved, and kind `failed` when a step fails or the engine does not
 * answer afterwards.
 */
export async function provisionHost(
  target: ProbeTarget,
  wanted: EngineSpec | undefined,
  { progress, approve, prompt }: ProvisionCalls,
  aims: ProvisionAims = {},
): Promise<ProvisionedHost> {
  const { machine } = target
  const { probe: before } = await waitForCloudInit(target, progress)
  const isNew = !before.daemon && before.engine?.version === undefined
  const settingsAims = isNew ? { ...aims, most: 'destructive' as const } : aims
  const enginePlan = planEngine(before, wanted, aims)
  const first = await planSettingsOf(target, before, settingsAims)
  // An engine that is installed but not running may need different settings before it can start.
  const isStopped = !isNew && before.engine?.version === undefined
  const plan = isStopped ? [...first.plan, ...enginePlan] : [...enginePlan, ...first.plan]
  if (plan.length === 0) {
    return { probe: checkEngine(machine, before), plan, output: [], skipped: first.skipped }
  }
  if (!(await approve(plan))) {
    throw new UserError('cancelled', 'cancelled: nothing was changed', { machine })
  }
  const output: string[] = []
  const sudo = askSudoPassword(target, before.user, prompt)
  const runAll = async (steps: Plan): Promise<void> => {
    for (const step of steps) output.push(await runStep(target, step, progress, sudo))
  }
  if (!isNew) await runAll(plan)
  else {
    await runAll(enginePlan)
    // Installing the packages may have created a daemon.json.
    await runAll((await planSettingsOf(target, before, settingsAims)).plan)
  }
  progress('check the engine')
  const after = await probeHost(target)
  const { plan: settingsLeft, skipped } = await planSettingsOf(target, after, settingsAims)
  const rest = [...planEngine(after, wanted, aims), ...settingsLeft]
  if (rest.length > 0) {
    const left = rest.map((step) => step.description).join('; ')
    throw new UserError('failed', `every step succeeded, but there is still work to do: ${left}`, {
      machine,
    })
  }
  return { probe: checkEngine(machine, after), plan, output, skipped }
}

/** Returns the probe if the engine works; throws kind `failed` otherwise. */
function checkEngine(machine: MachineName, probe: HostProbe): HostProbe {
  if (probe.engine?.version !== undefined || !probe.cli) return probe
  if (probe.sudoNeeds !== undefined && probe.dockerGroup) return probe // the engine will be usable after the next login
  throw new UserError('failed', 'dockerd is running, but does not respond on its socket', {
    machine,
    hint: `to see the error: ${hostCommand(machine, 'docker version', { sudo: !probe.root })}`,
  })
}
