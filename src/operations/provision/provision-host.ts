import { UserError } from '../../errors.ts'
import type { MachineName } from '../../machine/name.ts'
import type { EngineSpec } from '../../machine/schema.ts'
import type { HostProbe } from '../../provision/host/probe.ts'
import { type UpgradePolicy, type Plan, planEngine } from '../../provision/engine/plan-engine.ts'
import type { Prompt } from '../../transport/ssh/connect.ts'
import type { Progress } from '../../os/progress.ts'
import { type ProbeTarget, probeHost } from '../adopt/probe-host.ts'
import { waitForCloudInit } from '../create/wait-until-ready.ts'
import { askSudoPassword, runStep } from './run-step.ts'

/** Callbacks of provisioning. */
export interface ProvisionCalls {
  readonly progress: Progress
  /** Called with the complete plan before anything is changed. If it resolves to false, nothing is changed. */
  readonly approve: (plan: Plan) => Promise<boolean>
  /** Asks for the password of sudo. Absent: nobody can be asked. */
  readonly prompt?: Prompt | undefined
}

/** The probe of a provisioned host, and the changes that were made. */
export interface ProvisionedHost {
  readonly probe: HostProbe
  readonly plan: Plan
  /** The output of each step of the plan. */
  readonly output: readonly string[]
}

/**
 * Installs or repairs the engine of a host: inspects the host, makes a plan, asks for approval, runs the steps and inspects it
 * again. A host without an engine gets the one in `wish`.
 * Throws kind `cancelled` when the plan is not approved, `failed` when a step fails or the
 * engine does not answer in the end.
 */
export async function provisionHost(
  target: ProbeTarget,
  wanted: EngineSpec | undefined,
  { progress, approve, prompt }: ProvisionCalls,
  aims: UpgradePolicy = {},
): Promise<ProvisionedHost> {
  const { machine } = target
  const { probe: before } = await waitForCloudInit(target, progress)
  const plan = planEngine(before, wanted, aims)
  if (plan.length === 0) return { probe: checkEngine(machine, before), plan, output: [] }
  if (!(await approve(plan))) {
    throw new UserError('cancelled', 'cancelled: nothing was changed', { machine })
  }
  const output: string[] = []
  const sudo = askSudoPassword(target, before.user, prompt)
  for (const step of plan) output.push(await runStep(target, step, progress, sudo))
  progress('check the engine')
  const after = await probeHost(target)
  const rest = planEngine(after, wanted, aims)
  if (rest.length > 0) {
    const left = rest.map((step) => step.description).join('; ')
    throw new UserError('failed', `every step succeeded, but these are still needed: ${left}`, {
      machine,
    })
  }
  return { probe: checkEngine(machine, after), plan, output }
}

/** Returns the probe if the engine works; throws otherwise. */
function checkEngine(machine: MachineName, probe: HostProbe): HostProbe {
  if (probe.engine?.version !== undefined || !probe.cli) return probe
  if (probe.sudoNeeds !== undefined && probe.dockerGroup) return probe // the next login can use the engine
  throw new UserError('failed', 'dockerd is running, but does not answer on its socket', {
    machine,
    hint: `to see the error: fleet ssh ${machine} -- docker version`,
  })
}
