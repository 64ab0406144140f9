import { createInterface } from 'node:readline'
import { UserError } from '../../errors.ts'
import type { MachineName } from '../../machine/name.ts'
import type { EngineSpec } from '../../machine/schema.ts'
import type { HostProbe } from '../../provision/host/probe.ts'
import { type UpgradePolicy, type Plan, planEngine } from '../../provision/engine/plan.ts'
import type { Step } from '../../provision/host/distributions.ts'
import { shellLine, exitCodeOf } from '../../transport/command.ts'
import type { RunningCommand } from '../../transport/transport.ts'
import type { Progress } from '../context.ts'
import { type ProbeTarget, probeHost } from '../adopt/probe-host.ts'
import { waitForCloudInit } from '../create/wait-until-ready.ts'

/** How many lines of a failed step's output the error quotes. */
const quotedLines = 15

/** Callbacks of provisioning. */
export interface ProvisionCalls {
  readonly progress: Progress
  /** Called with the complete plan before anything is changed. If it resolves to false, nothing is changed. */
  readonly approve: (plan: Plan) => Promise<boolean>
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
  { progress, approve }: ProvisionCalls,
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
  for (const step of plan) output.push(await runStep(target, step, progress))
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
  throw new UserError('failed', 'dockerd is running, but does not answer on its socket', {
    machine,
    hint: `fleet ssh ${machine} -- docker version`,
  })
}

/** Runs one step and returns its output. The login shell only has to start `sh`. */
async function runStep(
  { machine, transport, signal }: ProbeTarget,
  step: Step,
  progress: Progress,
): Promise<string> {
  progress(step.description)
  const running = await transport.exec(['sh'], { signal })
  running.stdin.on('error', () => {}) // the exit code reports a failure
  running.stdin.end(`exec ${shellLine(step.command)} </dev/null\n`)
  const lines: string[] = []
  const [status] = await Promise.all([
    running.exit,
    readLines(running.stdout, lines, progress),
    readLines(running.stderr, lines, progress),
  ])
  const code = exitCodeOf(status)
  if (code === 0) return lines.join('\n')
  const last = lines.slice(-quotedLines).map((line) => `\n  ${line}`)
  throw new UserError(
    'failed',
    `could not ${step.description} (exit code ${code})${last.join('')}`,
    {
      machine,
      hint: 'run the same command again to continue',
    },
  )
}

async function readLines(
  stream: RunningCommand['stdout'],
  lines: string[],
  progress: Progress,
): Promise<void> {
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
    lines.push(line)
    if (line.startsWith('Waiting')) progress(line)
  }
}
