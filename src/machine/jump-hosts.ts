import type { Machine } from './machine.ts'
import type { MachineName } from './name.ts'
import { suggest } from './nearest-name.ts'

/** The maximum number of jump hosts between this computer and a machine. */
const maxJumps = 16

/** Why a chain of jump hosts (`via`) cannot be resolved. */
export interface JumpChainError {
  readonly kind: 'cycle' | 'no-machine' | 'too-long'
  /** The machine whose `via` is wrong or, for a cycle, the machine at which the cycle closes. */
  readonly name: MachineName
  readonly message: string
}

/** The jump hosts of a machine, starting with the one nearest to it. The list is incomplete if there is a problem. */
export interface JumpChain<Jump> {
  readonly jumps: readonly Jump[]
  readonly problem?: JumpChainError
}

/** Follows `via` from a machine up to the jump host that this computer connects to directly. */
export function resolveJumpChain<Jump extends Pick<Machine, 'via'>>(
  machines: ReadonlyMap<MachineName, Jump>,
  { name, via }: Pick<Machine, 'name' | 'via'>,
): JumpChain<Jump> {
  const jumps: Jump[] = []
  const passed = [name]
  for (let from = name, next = via; next !== undefined;) {
    const to = next as MachineName
    if (passed.includes(to)) {
      const message = `jump hosts form a cycle: ${[...passed, to].join(' via ')}`
      return { jumps, problem: { kind: 'cycle', name: to, message } }
    }
    const jump = machines.get(to)
    if (jump === undefined) {
      const others = [...machines.keys()].filter((other) => other !== from)
      const message = `${from} has the jump host ${to}, but there is no such machine${suggest(to, others)}`
      return { jumps, problem: { kind: 'no-machine', name: from, message } }
    }
    if (jumps.length === maxJumps) {
      const message = `${name} has more than ${maxJumps} jump hosts`
      return { jumps, problem: { kind: 'too-long', name, message } }
    }
    jumps.push(jump)
    passed.push(to)
    from = to
    next = jump.via
  }
  return { jumps }
}

/** The maximum number of errors to search for: finding each of them requires a comparison with all names. */
const maxErrors = 100

/**
 * Finds every `via` that names an unknown machine, is part of a cycle, or makes a chain too long. Returns at most 100
 * errors.
 */
export function findJumpChainErrors(
  machines: ReadonlyMap<MachineName, Pick<Machine, 'via'>>,
): readonly JumpChainError[] {
  const found: JumpChainError[] = []
  for (const [name, { via }] of machines) {
    const { problem } = resolveJumpChain(machines, { name, via })
    if (problem?.name === name) found.push(problem)
    if (found.length === maxErrors) break
  }
  return found
}
