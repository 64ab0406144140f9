import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { UserError, exitCodes, fileProblemOf } from '../../errors.ts'
import { counted } from '../../ui/human-units.ts'
import type { MachineChanges } from '../../operations/plan/apply-plan.ts'
import type {
  ChangePlan,
  PlannedDeployment,
  PlannedSwarmChange,
} from '../../operations/plan/change-plan.ts'
import type { StackToDeploy } from '../../operations/stacks/apply-stacks.ts'
import type { Deployed } from '../../operations/stacks/deploy-machine.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { writeFailure } from '../../ui/failure.ts'
import { writeJson } from '../../ui/table.ts'
import { commonOptions } from '../options/common-options.ts'
import { type Invocation, defineCommand, text } from '../command.ts'
import { confirmDestructive, destroyOption, skippedError } from './confirm-destructive.ts'
import { allowNamedPaths, allowPathOption, confirmGrants } from './confirm-grants.ts'
import { requireConsent, yesOption } from '../options/confirmation.ts'
import {
  explainStoppedApply,
  explainUnfinished,
  reportUnfinished,
} from '../machine/create/interrupted.ts'
import { hostKeyOptions, trustFrom } from '../options/host-key-options.ts'
import { chosenNames, computePlan, planOptions } from './plan.ts'
import { describeHosts } from './describe-hosts.ts'
import { planCode, planDescriber } from './show-plan.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'
import {
  allowNamedVariables,
  confirmStackGrants,
  deployOptions,
  runDeployments,
} from '../stack/run-deployments.ts'
import { drainMsOf, drainOptions, openMembers } from '../swarm/open-members.ts'
import { runSwarmChanges } from '../swarm/run-swarm-changes.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** Asks about each path outside the inventory's directory that the changes would make available to a machine. */
async function confirmChanges(
  context: Pick<Invocation, 'fleet' | 'io'>,
  { changes }: ChangePlan,
  inventory: Inventory,
): Promise<void> {
  const { grantsOfChange } = await import('../../operations/inventory/grants.ts')
  const grants = changes.map(async (change) => {
    const machine = [...inventory.machines.values()].find(({ name }) => name === change.machine)
    return machine === undefined ? [] : grantsOfChange(context.fleet, inventory, machine, change)
  })
  await confirmGrants(context, (await Promise.all(grants)).flat(), 'fleet apply')
}

/** Prepares the planned stack deployments, and asks about everything on this computer that they use. */
async function prepareStacks(
  context: Pick<Invocation, 'fleet' | 'io'>,
  inventory: Inventory,
  deployments: readonly PlannedDeployment[],
): Promise<readonly StackToDeploy[]> {
  if (deployments.length === 0) return []
  const { prepareDeployments } = await import('../../operations/stacks/apply-stacks.ts')
  const stacks = await prepareDeployments(context.fleet, inventory, deployments)
  await confirmStackGrants(context, stacks, 'fleet apply')
  return stacks
}

/** The changes that were made to a machine. */
type AppliedMachine = MachineChanges & {
  readonly swarms?: readonly PlannedSwarmChange[]
  readonly deployments?: readonly Deployed[]
}

/**
 * Merges the changes that were made to machines, the changes that were made in swarms, and the completed deployments.
 */
function resultsOf(
  changed: readonly MachineChanges[],
  swarmed: readonly PlannedSwarmChange[],
  deployed: readonly Deployed[],
): readonly AppliedMachine[] {
  const names = new Set([
    ...changed.map(({ name }) => name),
    ...[...swarmed, ...deployed].map(({ machine }) => machine),
  ])
  return [...names].map((name) => {
    const swarms = swarmed.filter(({ machine }) => machine === name)
    const deployments = deployed.filter(({ machine }) => machine === name)
    return {
      name: name as MachineChanges['name'],
      changes: changed.find((one) => one.name === name)?.changes ?? [],
      ...(swarms.length > 0 && { swarms }),
      ...(deployments.length > 0 && { deployments }),
    }
  })
}

/** The number of completed items, and the total number of items of that kind. */
interface Share {
  readonly done: number
  readonly of: number
}

/** Returns the summary of what was done. */
function summaryOf(machines: Share, swarms: Share, deployments: Share): string {
  const parts = [
    ...(machines.of > 0
      ? [`applied changes to ${machines.done} of ${counted(machines.of, 'machine')}`]
      : []),
    ...(swarms.of > 0 ? [`made ${swarms.done} of ${counted(swarms.of, 'swarm change')}`] : []),
    ...(deployments.of > 0
      ? [`completed ${deployments.done} of ${counted(deployments.of, 'deployment')}`]
      : []),
  ]
  return `${parts.join(', ')}\n`
}

async function readPlan({ io }: Pick<Invocation, 'io'>, name: string): Promise<ChangePlan> {
  const { parsePlan } = await import('../../operations/plan/change-plan.ts')
  const content = await readFile(resolve(io.cwd, name), 'utf8').catch((error: unknown) => {
    throw new UserError('usage', `cannot read the plan ${name}: ${fileProblemOf(error)}`, {
      hint: `to create a plan: fleet plan --out ${shellQuote(name)}`,
    })
  })
  return parsePlan(content, name)
}

export const apply = defineCommand({
  name: 'apply',
  summary: 'Make the changes that fleet plan shows',
  description:
    'Show the plan, ask for confirmation, then make the changes on several machines in parallel. With --on, only the chosen machines are changed. If apply is interrupted, run it again to continue. Removing or replacing a host deletes all data on it, so --yes does not confirm such changes: confirm them when prompted, or pass --destroy. Unconfirmed changes are skipped, and the exit code is then 1.',
  options: {
    plan: text(
      '--plan <file>',
      'saved plan to apply (rejected if the inventory has changed since the plan was made)',
      'file',
    ),
    ...planOptions,
    ...hostKeyOptions,
    maxFail: commonOptions.maxFail,
    allowPath: allowPathOption,
    ...deployOptions,
    ...drainOptions,
    yes: yesOption,
    destroy: destroyOption,
  },
  targets: 'many',
  answers: 'json',
  examples: [
    'fleet apply',
    'fleet apply --yes --accept-new',
    'fleet apply --on role=web',
    'fleet apply --plan today.plan --destroy web-3',
  ],
  async run({ fleet, io, options, targets, format }) {
    const context = { fleet, io, format }
    const { applyTo, orderChanges } = await import('../../operations/plan/apply-plan.ts')
    const { checkPlanned, narrowPlan } = await import('../../operations/plan/change-plan.ts')
    await allowNamedPaths(context, options.allowPath) // inspecting an engine may require a path
    if (options.allowVariable.length > 0) {
      const { stacks } = await (await fleet.inventory()).read()
      await allowNamedVariables(context, options.allowVariable, stacks.keys())
    }
    const chosen = await chosenNames({ fleet, targets })
    const made =
      options.plan === undefined
        ? await computePlan(context, chosen, options)
        : await readPlan(context, options.plan)
    const store = await fleet.inventory()
    const before = await store.read()
    checkPlanned(made, before)
    const plan = chosen === undefined ? made : narrowPlan(made, before, chosen)
    const describePlan = planDescriber(io, 'stderr', await describeHosts({ fleet }, plan.changes))
    const { deployments = [], swarms = [] } = plan
    if (plan.changes.length + swarms.length + deployments.length === 0) {
      if (format.json) writeJson(io, [])
      else io.stderr.write(describePlan(plan))
      return planCode(plan)
    }
    if (format.json) io.stderr.write(`${JSON.stringify({ event: 'plan', ...plan })}\n`)
    const preface = format.json ? '' : describePlan(plan)
    await requireConsent(io, options.yes, 'Make these changes?', preface)
    const inventory = await store.read()
    checkPlanned(plan, inventory)
    await confirmChanges(context, plan, inventory)
    const stacks = await prepareStacks(context, inventory, deployments)
    const approved = await confirmDestructive(io, plan, inventory, options.destroy)
    const { approvedChanges, destructiveIn } =
      await import('../../operations/plan/destructive-changes.ts')
    const agreed = approvedChanges(plan, approved)
    const leaving = agreed.filter(({ action }) => action === 'remove')
    const left = destructiveIn(plan).filter(({ machine }) => !approved.has(machine))
    const { interruptionsOf } = await import('../../operations/swarm/guard-machines.ts')
    const interrupted = [...interruptionsOf(agreed)].flatMap(([name, interruption]) => {
      const machine = [...inventory.machines.values()].find((one) => one.name === name)
      return machine === undefined ? [] : [{ machine, interruption }]
    })
    await using members = await openMembers({ fleet }, interrupted, options)
    const applyOne = applyTo(fleet, inventory, {
      leaving: new Set(leaving.map(({ machine }) => machine)),
      members,
    })
    const trust = trustFrom(io, options)
    const machines = orderChanges(inventory, agreed)
    const outcomes = await workOnMachines(
      context,
      machines,
      (machine, calls) => applyOne(machine, { ...calls, trust }),
      { concurrency: targets.parallel, maxFail: options.maxFail },
    ).catch(async (error: unknown) => {
      const names = machines.map(({ name }) => name)
      if (io.signal.aborted) throw await explainStoppedApply(fleet, names)
      throw await explainUnfinished(fleet, names, error, 'fleet apply')
    })
    const { values, failed, code: changeCode } = summarize({ io, format }, outcomes)
    await reportUnfinished(
      context,
      failed.map(({ name }) => name),
      'fleet apply',
    )
    const done = new Set<string>(values.map(({ name }) => name))
    const unchanged = new Set<string>([
      ...machines.map(({ name }) => name).filter((name) => !done.has(name)),
      ...left.map(({ machine }) => machine),
    ])
    const { changed: swarmed, code: swarmCode } = await runSwarmChanges(context, swarms, {
      failed: unchanged,
      drainMs: drainMsOf(options),
    })
    const { deployed, code: deployCode } = await runDeployments(context, stacks, {
      failed: unchanged,
      waitLock: options.waitLock,
    })
    const code =
      [changeCode, swarmCode, deployCode].find((one) => one !== exitCodes.ok) ?? exitCodes.ok
    for (const change of left) writeFailure(io, skippedError(change), format.json)
    const places = [...inventory.machines.keys()]
    const results = resultsOf(values, swarmed, deployed)
    const inTheirOrder = results.toSorted((a, b) => places.indexOf(a.name) - places.indexOf(b.name))
    if (format.json) writeJson(io, inTheirOrder)
    else {
      const summary = summaryOf(
        { done: values.length, of: machines.length },
        { done: swarmed.length, of: swarms.length },
        { done: deployed.length, of: deployments.length },
      )
      io.stderr.write(summary)
    }
    return left.length > 0 ? exitCodes.failed : code
  },
})
