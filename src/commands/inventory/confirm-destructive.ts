import type { Change, ChangePlan } from '../../operations/plan/change-plan.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { UserError } from '../../errors.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import { texts } from '../command.ts'
import { describeChanges } from './show-plan.ts'

/** Confirms destructive changes, which `--yes` does not. */
export const destroyOption = texts(
  '--destroy <selector>',
  'allow the hosts of these machines to be removed or replaced, or, if fleet did not create them, to be stopped; not implied by --yes (repeatable)',
  'selector',
)

/** Asks for the name of the machine, or for the number of hosts if there are several. Any other answer means no. */
async function askToDestroy(io: Io, destructive: readonly Change[]): Promise<boolean> {
  const [first] = destructive
  const stops = destructive.filter(({ action }) => action === 'stop').length
  const isOne = destructive.length === 1 && first !== undefined
  const [hosts, data, expected] = isOne
    ? [first.machine, 'it', first.machine]
    : [`${destructive.length} hosts`, 'them', String(destructive.length)]
  const effect =
    stops === 0
      ? `This deletes ${hosts} and all data on ${data}.`
      : stops === destructive.length
        ? `This stops ${hosts}, which fleet did not create.`
        : `This deletes or stops ${hosts}. All data on deleted hosts is lost.`
  io.stderr.write(describeChanges(destructive))
  const typed = await askText(io, `${effect} Type ${expected} to confirm, or press Enter to skip:`)
  return typed.trim() === expected
}

/**
 * The machines whose destructive changes are confirmed: those that `--destroy` selects, and those confirmed at the prompt.
 * Throws if `--destroy` selects no machine.
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
  if (rest.length === 0 || !canPrompt(io) || !(await askToDestroy(io, rest))) return named
  return new Set([...named, ...rest.map(({ machine }) => machine)])
}

/** Says why a machine was skipped, and how to allow the change. */
export const skippedError = ({ machine, action }: Change): UserError =>
  action === 'stop'
    ? new UserError(
        'failed',
        'skipped: fleet did not create this host, so stopping it needs confirmation',
        {
          machine,
          hint: `to stop it: fleet stop ${machine}, or fleet apply --destroy ${machine}`,
        },
      )
    : new UserError('failed', `skipped: confirmation is needed to ${action} this machine`, {
        machine,
        hint: `to confirm it: fleet apply --destroy ${machine}`,
      })
