import type { HostRecord, Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import type { Change, ChangePlan, PlanPart } from './change-plan.ts'

/** Whether fleet created a host. Other hosts are not stopped without confirmation. */
export const isCreatedByFleet = ({ token }: Pick<HostRecord, 'token'>): boolean =>
  token !== undefined

/**
 * Plans the removal or replacement of an existing host. If the machine is protected, returns an issue instead of a
 * change.
 */
export function planDestructive(
  { name, protected: isProtected }: Pick<Machine, 'name' | 'protected'>,
  change: Pick<Change, 'why' | 'options'> & { readonly action: 'replace' | 'remove' },
): PlanPart {
  if (!isProtected) return { changes: [{ machine: name, destructive: true, ...change }] }
  const { action, why } = change
  return {
    issues: [
      {
        machine: name,
        why: `the machine is protected, but would have to be ${action}d: ${why}`,
        hint: `to remove the protection: fleet set ${name} protected=false; otherwise, restore the entry`,
      },
    ],
  }
}

/** Whether a change removes an existing host. */
const removesHost = ({ destructive, action }: Change): boolean =>
  destructive === true && (action === 'replace' || action === 'remove')

/**
 * The changes of a plan that must be confirmed for each machine. For a machine whose host is removed, only the removal
 * is included.
 */
export function destructiveIn({ changes }: ChangePlan): readonly Change[] {
  const all = changes.filter(({ destructive = false }) => destructive)
  const removed = new Set(all.filter(removesHost).map(({ machine }) => machine))
  return all.filter((change) => removesHost(change) || !removed.has(change.machine))
}

/**
 * The changes to apply after the user has confirmed the destructive changes of the machines in `approved`. A machine
 * whose host is removed gets no other changes. Destructive changes of machines that are not in `approved` are omitted.
 */
export function approvedChanges(
  { changes }: ChangePlan,
  approved: ReadonlySet<string>,
): readonly Change[] {
  const going = new Set(
    changes
      .filter((change) => removesHost(change) && approved.has(change.machine))
      .map(({ machine }) => machine),
  )
  return changes.filter((change) => {
    const { machine, destructive = false } = change
    if (going.has(machine)) return removesHost(change)
    return !destructive || approved.has(machine)
  })
}

/**
 * Whether this user started the recorded removal or replacement of a machine on this computer: only then does it
 * continue without another confirmation. The record alone is not sufficient, since every user who can write the
 * inventory can write the record too.
 */
export async function wasRemovalStartedHere(
  context: Context,
  { name, host }: Pick<Machine, 'name' | 'host'>,
): Promise<boolean> {
  if (host?.phase !== 'removing' || host.token === undefined) return false
  const { id: fleet } = await (await context.inventory()).read()
  return context.removals().hasStarted({ fleet, machine: name, token: host.token })
}
