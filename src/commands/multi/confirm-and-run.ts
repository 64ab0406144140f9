import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Outcome } from '../../operations/fan-out/fan-out.ts'
import type { Invocation } from '../command.ts'
import { type WorkCalls, workOnMachines } from './work-on-machines.ts'

/** The changes that the work on a machine would make. */
export interface Proposal<Plan> {
  readonly machine: Machine
  readonly plan: Plan
}

/** Work that needs approval before it changes something. */
interface AskingWork<Value, Plan> {
  readonly work: (
    machine: Machine,
    calls: WorkCalls,
    approve: (plan: Plan) => Promise<boolean>,
  ) => Promise<Value>
  /** Shows the changes in the order of the machines, and returns the machines for which they are approved. */
  readonly ask: (proposals: readonly Proposal<Plan>[]) => Promise<ReadonlySet<Machine>>
  /**
   * Replaces `ask` if no confirmation is required. It is called with the changes of each machine before they are made.
   */
  readonly preapproved?: ((machine: Machine, plan: Plan) => Promise<boolean>) | undefined
  readonly concurrency: number | undefined
}

/**
 * Does work that needs approval on several machines: first determines the changes on each machine, then asks, and then
 * makes the approved changes. A machine whose changes are no longer the same as the approved ones fails. Preapproved
 * changes are made immediately. The outcomes are in the order of the machines.
 */
export async function confirmAndRun<Value, Plan>(
  context: Pick<Invocation, 'fleet' | 'io' | 'format'>,
  machines: readonly Machine[],
  { work, ask, preapproved, concurrency }: AskingWork<Value, Plan>,
): Promise<Outcome<Machine, Value>[]> {
  const plans = new Map<Machine, Plan>()
  const options = { concurrency, throwsAlone: false }
  const seen = await workOnMachines(
    context,
    machines,
    (machine, calls) =>
      work(machine, calls, async (plan) => {
        if (preapproved) return preapproved(machine, plan)
        plans.set(machine, plan)
        return false
      }),
    options,
  )
  if (plans.size === 0) return seen
  const proposals = machines.flatMap((machine) => {
    const plan = plans.get(machine)
    return plan === undefined ? [] : { machine, plan }
  })
  const agreed = await ask(proposals)
  const done = await workOnMachines(
    context,
    machines.filter((machine) => agreed.has(machine)),
    (machine, calls) =>
      work(machine, calls, async (plan) => {
        if (isDeepStrictEqual(plan, plans.get(machine))) return true
        throw new UserError('failed', 'the host has changed since you confirmed the changes', {
          machine: machine.name,
          hint: 'run the command again',
        })
      }),
    options,
  )
  return seen.map((outcome) => done.find(({ machine }) => machine === outcome.machine) ?? outcome)
}
