import type { Machine } from './machine.ts'
import type { MachineName } from './name.ts'
import { suggest } from './nearest.ts'

/** So many machines may be passed on the way to one. */
const mostJumps = 16

/** A `via` that leads nowhere. */
export interface JumpChainError {
  readonly kind: 'circle' | 'no-machine' | 'too-long'
  /** The machine whose `via` it is, or where the circle closes. */
  readonly name: MachineName
  readonly message: string
}

/** The machines that one is reached through, the nearest to it first, as far as the way leads. */
export interface Way<Jump> {
  readonly jumps: readonly Jump[]
  readonly problem?: JumpChainError
}

/** Follows `via` from a machine to the one that is reached from this computer. */
export function resolveJumpChain<Jump extends Pick<Machine, 'via'>>(
  machines: ReadonlyMap<MachineName, Jump>,
  { name, via }: Pick<Machine, 'name' | 'via'>,
): Way<Jump> {
  const jumps: Jump[] = []
  const passed = [name]
  for (let from = name, next = via; next !== undefined;) {
    const to = next as MachineName
    if (passed.includes(to)) {
      const circle = [...passed, to].join(' via ')
      const message = `the way goes in a circle: ${circle}`
      return { jumps, problem: { kind: 'circle', name: to, message } }
    }
    const jump = machines.get(to)
    if (jump === undefined) {
      const others = [...machines.keys()].filter((other) => other !== from)
      const message = `${from} is reached via ${to}, which is no machine${suggest(to, others)}`
      return { jumps, problem: { kind: 'no-machine', name: from, message } }
    }
    if (jumps.length === mostJumps) {
      const message = `${name} is reached via more than ${mostJumps} other machines`
      return { jumps, problem: { kind: 'too-long', name, message } }
    }
    jumps.push(jump)
    passed.push(to)
    from = to
    next = jump.via
  }
  return { jumps }
}

/** As many problems as are looked for: each costs a look at all names. */
const mostFound = 100

/** Finds every `via` that names no machine, is part of a circle or leads too far; the first hundred of them. */
export function findWayProblems(
  machines: ReadonlyMap<MachineName, Pick<Machine, 'via'>>,
): readonly JumpChainError[] {
  const found: JumpChainError[] = []
  for (const [name, { via }] of machines) {
    const { problem } = resolveJumpChain(machines, { name, via })
    if (problem?.name === name) found.push(problem)
    if (found.length === mostFound) break
  }
  return found
}
