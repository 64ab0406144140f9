import { UserError } from '../../../errors.ts'
import type { Machine } from '../../../machine/machine.ts'
import type { MachineName } from '../../../machine/name.ts'
import { findJumpChainErrors, type JumpChainError } from '../../../machine/jump-hosts.ts'
import type { Inventory } from '../inventory.ts'

/** What a change makes of one machine. */
interface Changed {
  readonly name: MachineName
  readonly before: Machine | undefined
  readonly after: Machine | undefined
}

/**
 * Finds the ways (`via`) that lead nowhere and that a change leaves so, and throws kind `usage` for one that it brings in.
 * A removal is never held up, nor is a note on a host that fleet made: what can be billed is written down
 * whatever else is wrong.
 */
export function findWaysLeftWrong(
  { machines }: Pick<Inventory, 'machines'>,
  { name, before, after }: Changed,
): readonly JumpChainError[] {
  if (after === undefined || before?.host?.token !== undefined) return []
  const problems = findJumpChainErrors(new Map([...machines, [name, after]]))
  const own = problems.find((problem) => problem.name === name)
  if (own !== undefined && after.via !== before?.via) {
    throw new UserError('usage', own.message, { machine: name, hint: 'fleet ls' })
  }
  return problems
}
