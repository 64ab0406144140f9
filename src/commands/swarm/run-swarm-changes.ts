import { UserError, exitCodes } from '../../errors.ts'
import type { PlannedSwarmChange } from '../../operations/plan/change-plan.ts'
import { writeFailure } from '../../ui/failure.ts'
import { foldNames } from '../../ui/fold-names.ts'
import type { Invocation } from '../command.ts'
import { summarize, workOnMachines } from '../multi/work-on-machines.ts'

type CommandContext = Pick<Invocation, 'fleet' | 'io' | 'format'>

/** The number of workers that join, or whose labels change, at the same time. */
const concurrency = 8

/**
 * Whether a change is made on several machines at the same time. All other changes concern managers or remove nodes.
 */
const isParallel = ({ action, role }: PlannedSwarmChange): boolean =>
  ['label', 'open-ports', 'close-ports'].includes(action) ||
  (action === 'join' && role === 'worker')

/** Reports the machines on which nothing was done, and why. */
function reportLeft(
  { io, format }: Pick<Invocation, 'io' | 'format'>,
  changes: readonly PlannedSwarmChange[],
  why: string,
): void {
  const [first] = changes
  if (first === undefined) return
  const names = [...new Set(changes.map(({ machine }) => machine))]
  const message = `swarm ${first.swarm} was not changed on ${foldNames(names)}: ${why}`
  writeFailure(io, new UserError('failed', message), format.json)
}

/**
 * Makes the planned changes to swarms, one phase at a time. A phase is not started if an earlier phase of the same
 * swarm failed. `failed`: machines whose own changes failed; nothing is done on them. `drainMs`: see {@link drainMsOf}.
 */
export async function runSwarmChanges(
  context: CommandContext,
  planned: readonly PlannedSwarmChange[],
  { failed, drainMs }: { readonly failed: ReadonlySet<string>; readonly drainMs: number },
): Promise<{ readonly changed: readonly PlannedSwarmChange[]; readonly code: number }> {
  if (planned.length === 0) return { changed: [], code: exitCodes.ok }
  const { applySwarmChange } = await import('../../operations/swarm/apply/apply-swarm.ts')
  const { inPhases } = await import('../../operations/swarm/plan-members.ts')
  const changed: PlannedSwarmChange[] = []
  let code: number = exitCodes.ok
  for (const swarm of new Set(planned.map((change) => change.swarm))) {
    const own = planned.filter((change) => change.swarm === swarm)
    const skipped = own.filter(({ machine }) => failed.has(machine))
    reportLeft(context, skipped, 'earlier changes were not applied')
    let isStopped = false
    if (skipped.length > 0) code = exitCodes.failed
    for (const phase of inPhases(own)) {
      const changes = phase.filter(({ machine }) => !failed.has(machine))
      if (isStopped) {
        reportLeft(context, changes, 'an earlier step failed')
        continue
      }
      const subjects = changes.map((change) => ({ name: change.machine, change }))
      const isOneByOne = !changes.every(isParallel)
      const outcomes = await workOnMachines(
        context,
        subjects,
        ({ change }, calls) => applySwarmChange(context.fleet, change, { ...calls, drainMs }),
        {
          concurrency: isOneByOne ? 1 : concurrency,
          ...(isOneByOne && { maxFail: 1 }),
          throwsAlone: false,
        },
      )
      const summary = summarize(context, outcomes)
      changed.push(...summary.values)
      const begun = new Set(outcomes.map(({ machine }) => machine))
      const left = subjects.filter((subject) => !begun.has(subject)).map(({ change }) => change)
      reportLeft(context, left, 'an earlier step failed')
      if (summary.code === exitCodes.ok) continue
      code = exitCodes.failed
      isStopped = true
    }
  }
  return { changed, code }
}
