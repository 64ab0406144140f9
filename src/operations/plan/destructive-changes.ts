import type { HostRecord, Machine } from '../../machine/machine.ts'
import type { Change, ChangePlan, PlanPart } from './change-plan.ts'

/** Whether fleet made a host. What others made, an inventory must not switch off without a word from the person. */
export const isOwnHost = ({ token }: Pick<HostRecord, 'token'>): boolean => token !== undefined

/**
 * A host that is there is to go. That of a protected machine never does by a plan: it is a matter for the person then.
 */
export function planSevere(
  { name, protected: isProtected }: Pick<Machine, 'name' | 'protected'>,
  change: Pick<Change, 'why' | 'options'> & { readonly action: 'replace' | 'remove' },
): PlanPart {
  if (!isProtected) return { changes: [{ machine: name, destructive: true, ...change }] }
  const { action, why } = change
  return {
    issues: [
      {
        machine: name,
        why: `it is protected, but would have to be ${action}d: ${why}`,
        hint: `remove the protection: fleet set ${name} protected-; or restore its entry`,
      },
    ],
  }
}

/** The changes of a plan that take away a host, or switch off one that fleet did not make. */
export const destructiveIn = ({ changes }: ChangePlan): readonly Change[] =>
  changes.filter(({ destructive = false }) => destructive)

/**
 * What there is to do once a person has confirmed the severe changes of some machines: of a machine whose host goes nothing else, of
 * the others all but what was not confirmed.
 */
export function agreedChanges(
  { changes }: ChangePlan,
  approved: ReadonlySet<string>,
): readonly Change[] {
  const going = new Set(
    changes
      .filter(
        ({ destructive, action, machine }) =>
          destructive && action !== 'stop' && approved.has(machine),
      )
      .map(({ machine }) => machine),
  )
  return changes.filter(({ machine, action, destructive = false }) => {
    if (going.has(machine)) return destructive && action !== 'stop'
    return !destructive || approved.has(machine)
  })
}
