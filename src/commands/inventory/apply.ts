import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { UserError, exitCodes, messageOf } from '../../errors.ts'
import type { ChangePlan } from '../../operations/plan/change-plan.ts'
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
import { shellQuote } from '../../os/shell-quote.ts'

/** Asks about each path outside the folder of the inventory that the changes give to a machine. */
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

async function readPlan({ io }: Pick<Invocation, 'io'>, name: string): Promise<ChangePlan> {
  const { parsePlan } = await import('../../operations/plan/change-plan.ts')
  const content = await readFile(resolve(io.cwd, name), 'utf8').catch((error: unknown) => {
    throw new UserError('usage', `cannot read the plan ${name}: ${messageOf(error)}`, {
      hint: `to make a plan: fleet plan --out ${shellQuote(name)}`,
    })
  })
  return parsePlan(content, name)
}

export const apply = defineCommand({
  name: 'apply',
  summary: 'Make the changes that fleet plan shows',
  description:
    'Show the plan, ask for confirmation, and then make its changes on several machines at the same time. With --on, only the chosen machines are changed. If apply is interrupted, run it again to continue. Removing or replacing a host deletes all data on it, so --yes does not confirm that: type the name of the machine when asked, or pass --destroy. Unconfirmed changes of this kind are skipped, and the exit code is then 1.',
  options: {
    plan: text(
      '--plan <file>',
      'apply exactly this plan; fails if the inventory has changed since it was made',
      'file',
    ),
    ...planOptions,
    ...hostKeyOptions,
    maxFail: commonOptions.maxFail,
    allowPath: allowPathOption,
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
    await allowNamedPaths(context, options.allowPath) // looking at an engine may need it
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
    if (plan.changes.length === 0) {
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
    const approved = await confirmDestructive(io, plan, inventory, options.destroy)
    const { approvedChanges, destructiveIn } =
      await import('../../operations/plan/destructive-changes.ts')
    const agreed = approvedChanges(plan, approved)
    const leaving = agreed.filter(({ action }) => action === 'remove')
    const left = destructiveIn(plan).filter(({ machine }) => !approved.has(machine))
    const applyOne = applyTo(fleet, inventory, new Set(leaving.map(({ machine }) => machine)))
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
    const { values, failed, code } = summarize({ io, format }, outcomes)
    await reportUnfinished(
      context,
      failed.map(({ name }) => name),
      'fleet apply',
    )
    for (const change of left) writeFailure(io, skippedError(change), format.json)
    const places = [...inventory.machines.keys()]
    const inTheirOrder = values.toSorted((a, b) => places.indexOf(a.name) - places.indexOf(b.name))
    if (format.json) writeJson(io, inTheirOrder)
    else io.stderr.write(`applied on ${values.length} of ${machines.length} machines\n`)
    return left.length > 0 ? exitCodes.failed : code
  },
})
