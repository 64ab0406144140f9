import type { Change, ChangePlan } from '../../operations/plan/change-plan.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { UserError } from '../../errors.ts'
import type { Io } from '../../ui/io.ts'
import { askText, canPrompt } from '../../ui/prompt.ts'
import { texts } from '../command.ts'
import { describeChanges } from './show-plan.ts'

/** `--destroy`, which confirms destructive changes. `--yes` does not confirm them. */
export const destroyOption = texts(
  '--destroy <selector>',
  'machines for which destructive changes are allowed: removing or replacing the host, making images and containers unavailable by changing engine settings, or stopping a host that fleet did not create; not implied by --yes (repeatable)',
  'selector',
)

const machinesOf = (changes: readonly Change[]): readonly string[] => [
  ...new Set(changes.map(({ machine }) => machine)),
]

/** Describes the hosts that the changes affect: the name of a single host, or the number of hosts. */
function hosts(changes: readonly Change[]): string {
  const names = machinesOf(changes)
  return names.length === 1 ? names.join('') : `${names.length} hosts`
}

/** Describes the effects of destructive changes, in one sentence for each kind. */
export function effectsOf(destructive: readonly Change[]): string {
  const of = (...actions: readonly Change['action'][]) =>
    destructive.filter(({ action }) => actions.includes(action))
  const [stopped, unavailable] = [of('stop'), of('engine-config')]
  const deleted = destructive.filter(
    (change) => !stopped.includes(change) && !unavailable.includes(change),
  )
  const effects = [
    deleted.length > 0 &&
      `delete ${hosts(deleted)} and all data on ${deleted.length === 1 ? 'it' : 'them'}.`,
    stopped.length > 0 && `stop ${hosts(stopped)}, which fleet did not create.`,
    unavailable.length > 0 && `make data on ${hosts(unavailable)} unavailable: see the list above.`,
  ].filter((effect) => effect !== false)
  return effects
    .map((text, index) => `${index === 0 ? 'This will' : 'It will also'} ${text}`)
    .join(' ')
}

/**
 * Asks the user to type the name of the machine, or the number of hosts if there are several. Any other answer means
 * no.
 */
async function askToDestroy(io: Io, destructive: readonly Change[]): Promise<boolean> {
  const names = machinesOf(destructive)
  const expected = names.length === 1 ? names.join('') : String(names.length)
  const effect = effectsOf(destructive)
  io.stderr.write(describeChanges(destructive))
  const typed = await askText(io, `${effect} Type ${expected} to confirm, or press Enter to skip:`)
  return typed.trim() === expected
}

/**
 * Resolves to the machines whose destructive changes are confirmed: those that `--destroy` selects, and those that the
 * user confirms at the prompt. Throws if `--destroy` selects no machine.
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

const skippedWords = (action: Change['action']): string =>
  action === 'engine-config'
    ? 'change engine settings that make images and containers unavailable'
    : `${action} this machine`

/** Returns the error that says why a machine was skipped and how to allow the change. */
export const skippedError = ({ machine, action }: Change): UserError =>
  action === 'stop'
    ? new UserError(
        'failed',
        'skipped: fleet did not create this host, so stopping it requires confirmation',
        {
          machine,
          hint: `to stop the host: fleet stop ${machine}, or fleet apply --destroy ${machine}`,
        },
      )
    : new UserError('failed', `skipped: confirmation is required to ${skippedWords(action)}`, {
        machine,
        hint: `to confirm: fleet apply --destroy ${machine}`,
      })
