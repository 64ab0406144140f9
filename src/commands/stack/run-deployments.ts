import { UserError, exitCodes } from '../../errors.ts'
import type { PlannedDeployment } from '../../operations/plan/change-plan.ts'
import type { StackToDeploy } from '../../operations/stacks/apply-stacks.ts'
import type { Deployed } from '../../operations/stacks/deploy-machine.ts'
import type { StackGrant } from '../../operations/stacks/stack-grants.ts'
import { writeFailure } from '../../ui/failure.ts'
import { foldNames } from '../../ui/fold-names.ts'
import { canPrompt, confirm } from '../../ui/prompt.ts'
import { type Invocation, parsed, texts } from '../command.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'
import { parseSeconds } from '../options/numbers.ts'

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format'>

/** Options of the commands that deploy stacks. */
export const deployOptions = {
  allowVariable: texts(
    '--allow-variable <name>',
    'allow stacks to send this shell variable to their hosts, now and in later commands (repeatable)',
  ),
  waitLock: parsed(
    '--wait-lock <seconds>',
    'time to wait for another user to finish changing a stack (default: 0)',
    parseSeconds,
  ),
} as const

/** Saves permission for these stacks to use the variables of `--allow-variable`. */
export async function allowNamedVariables(
  { fleet }: Pick<Invocation, 'fleet'>,
  variables: readonly string[],
  stacks: Iterable<string>,
): Promise<void> {
  if (variables.length === 0) return
  const invalid = variables.find((name) => !/^[A-Za-z_]\w*$/.test(name))
  if (invalid !== undefined) {
    throw new UserError('usage', `${JSON.stringify(invalid)} is not a valid variable name`, {
      hint: 'pass only the name: --allow-variable TOKEN',
    })
  }
  const { allowStackGrants } = await import('../../operations/stacks/stack-grants.ts')
  const grants = [...stacks].flatMap((stack) => variables.map((variable) => ({ stack, variable })))
  await allowStackGrants(fleet, grants)
}

/**
 * Asks about every file and variable on this computer that the stacks use, and saves the answers. Throws as
 * `confirmGrants` does.
 */
export async function confirmStackGrants(
  { fleet, io }: Pick<Invocation, 'fleet' | 'io'>,
  stacks: readonly StackToDeploy[],
  command: string,
): Promise<void> {
  const grants = stacks.flatMap((one) => one.grants)
  if (grants.length === 0) return
  const { allowStackGrants, describeStackGrant, requireStackGrants } =
    await import('../../operations/stacks/stack-grants.ts')
  if (!canPrompt(io)) requireStackGrants(grants, command)
  const machinesOf = (grant: StackGrant): string[] =>
    stacks
      .filter(({ stack }) => stack.name === grant.stack)
      .flatMap(({ deployments }) => deployments.map(({ machine }) => machine))
  const asked = new Set<string>()
  for (const grant of grants) {
    const what = describeStackGrant(grant)
    const key = 'path' in grant ? grant.path : `${grant.stack} ${grant.variable}`
    if (asked.has(key)) continue
    asked.add(key)
    const question = `Allow stack ${grant.stack} to send ${what} to ${foldNames(machinesOf(grant))}?`
    if (!(await confirm(io, question))) {
      throw new UserError(
        'cancelled',
        `cancelled: you did not allow sending ${what}; nothing was changed`,
      )
    }
    await allowStackGrants(fleet, [grant])
  }
}

/** The deployment of a stack to one machine. */
interface Subject {
  readonly name: string
  readonly planned: PlannedDeployment
}

/** Reports the machines to which a stack was not deployed, and why. */
function reportLeft(
  { io, format }: Pick<Invocation, 'io' | 'format'>,
  stack: string,
  machines: readonly string[],
  why: string,
): void {
  if (machines.length === 0) return
  const message = `stack ${stack} was not deployed to ${foldNames(machines)}: ${why}`
  writeFailure(io, new UserError('failed', message), format.json)
}

/** Reports sockets and other special files in mounted directories. Such files are not copied. */
async function reportUncopied(
  { io, format }: Pick<Invocation, 'io' | 'format'>,
  { stack, models }: StackToDeploy,
): Promise<void> {
  if (format.json) return
  const { noticeSkipped } = await import('../../operations/compose/read-local-files.ts')
  for (const path of new Set([...models.values()].flatMap(({ skipped }) => skipped))) {
    io.stderr.write(noticeSkipped(path, `the hosts of stack ${stack.name}`))
  }
}

/**
 * Deploys stacks in sequence, and each stack to one batch of machines at a time. Stops at the first failure. `failed`:
 * machines whose changes failed; nothing is deployed to them.
 */
export async function runDeployments(
  context: CommandContext,
  stacks: readonly StackToDeploy[],
  {
    failed = new Set(),
    waitLock = 0,
  }: { readonly failed?: ReadonlySet<string>; readonly waitLock?: number | undefined },
): Promise<{ readonly deployed: readonly Deployed[]; readonly code: number }> {
  const { deployPrepared } = await import('../../operations/stacks/apply-stacks.ts')
  const { batchSize } = await import('../../machine/stacks.ts')
  const deployed: Deployed[] = []
  let code: number = exitCodes.ok
  for (const one of stacks) {
    const { stack, deployments } = one
    const names = deployments.map(({ machine }) => machine)
    await reportUncopied(context, one)
    if (code !== exitCodes.ok) {
      reportLeft(context, stack.name, names, 'an earlier deployment failed')
      continue
    }
    const skipped = names.filter((name) => failed.has(name))
    reportLeft(context, stack.name, skipped, 'earlier changes were not applied')
    const subjects = deployments
      .filter(({ machine }) => !failed.has(machine))
      .map((planned): Subject => ({ name: planned.machine, planned }))
    const outcomes = await workOnMachines(
      context,
      subjects,
      ({ planned }, calls) =>
        deployPrepared(context.fleet, one, planned, { ...calls, waitMs: waitLock * 1000 }),
      { concurrency: batchSize(stack, subjects.length), maxFail: 1, throwsAlone: false },
    )
    const summary = summarize(context, outcomes)
    deployed.push(...summary.values)
    const begun = new Set<string>(outcomes.map(({ machine }) => machine.name))
    const left = subjects.map(({ name }) => name).filter((name) => !begun.has(name))
    reportLeft(context, stack.name, left, 'the deployment to another machine failed')
    if (summary.code !== exitCodes.ok || skipped.length > 0) code = exitCodes.failed
  }
  return { deployed, code }
}
