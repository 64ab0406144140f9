import type { Change, ChangePlan } from '../../operations/plan/change-plan.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { UserError } from '../../errors.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import { texts } from '../command.ts'
import { describeChanges } from './show-plan.ts'

/** Names hosts that may go: `--yes` does not stand for that. */
export const destroyOption = texts(
  '--destroy <selector>',
  'the machines whose hosts may be removed or replaced, or stopped where fleet did not create them, as the plan says; -y does not confirm that (repeatable)',
  'selector',
)

/** Has the person type the one name, or how many hosts go. Anything else is a no. */
async function askWhetherTheyGo(io: Io, destructive: readonly Change[]): Promise<boolean> {
  const [first] = destructive
  const stops = destructive.filter(({ action }) => action === 'stop').length
  const fate =
    stops === 0
      ? 'would go'
      : stops === destructive.length
        ? 'would be stopped'
        : 'would go or be stopped'
  const [what, expected] =
    destructive.length === 1 && first !== undefined
      ? [`${first.machine} ${fate}. Type its name`, first.machine]
      : [`${destructive.length} hosts ${fate}. Type how many`, String(destructive.length)]
  io.stderr.write(describeChanges(destructive))
  const typed = await askText(io, `${what} if that is right, or Enter to leave it:`)
  return typed.trim() === expected
}

/**
 * The machines whose hosts may go: those that `--destroy` selects, and on a terminal those that the person says so of.
 * Throws as a selector does that selects nothing.
 */
export async function confirmDestructive(
  io: Io,
  plan: ChangePlan,
  inventory: Inventory,
  destroy: readonly string[],
): Promise<ReadonlySet<string>> {
  const { destructiveIn } = await import('../../operations/plan/destructive-changes.ts')
  const { parseSelector, select } = await import('../../machine/selector.ts')
  const all = [...inventory.machines.values()]
  const chosen = destroy.length === 0 ? [] : select(all, parseSelector(destroy))
  const named = new Set<string>(chosen.map(({ name }) => name))
  const rest = destructiveIn(plan).filter(({ machine }) => !named.has(machine))
  if (rest.length === 0 || !canPrompt(io) || !(await askWhetherTheyGo(io, rest))) return named
  return new Set([...named, ...rest.map(({ machine }) => machine)])
}

/** Why a machine was left as it is, and how to allow what the plan says of it. */
export const leftAsItIs = ({ machine, action }: Change): UserError =>
  action === 'stop'
    ? new UserError(
        'failed',
        'skipped: fleet did not create this host, so stopping it needs confirmation',
        {
          machine,
          hint: `fleet stop ${machine}, or fleet apply --destroy ${machine}`,
        },
      )
    : new UserError('failed', `left as it is: to ${action} it takes a consent of its own`, {
        machine,
        hint: `fleet apply --destroy ${machine}`,
      })
