import { UserError } from '../../../errors.ts'
import type { Machine } from '../../../machine/machine.ts'
import type { MachineName } from '../../../machine/name.ts'
import { findJumpChainErrors, type JumpChainError } from '../../../machine/jump-hosts.ts'
import type { Inventory } from '../inventory.ts'

/** A machine before and after a change. */
interface MachineChange {
  readonly name: MachineName
  readonly before: Machine | undefined
  readonly after: Machine | undefined
}

/**
 * Finds invalid jump hosts (`via`) after a change, and throws kind `usage` for one that the change
 * adds. Removals and records of hosts that fleet created are never blocked: a host that costs money
 * must be recorded even if other entries are invalid.
 */
export function findJumpHostErrors(
  { machines }: Pick<Inventory, 'machines'>,
  { name, before, after }: MachineChange,
): readonly JumpChainError[] {
  if (after === undefined || before?.host?.token !== undefined) return []
  const problems = findJumpChainErrors(new Map([...machines, [name, after]]))
  const own = problems.find((problem) => problem.name === name)
  if (own !== undefined && after.via !== before?.via) {
    throw new UserError('usage', own.message, {
      machine: name,
      hint: 'to list the machines: fleet ls',
    })
  }
  return problems
}
