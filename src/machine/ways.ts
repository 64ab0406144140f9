import type { Machine } from './machine.ts'
import type { MachineName } from './name.ts'
import { suggest } from './nearest.ts'

/** A `via` that leads nowhere. */
export interface WayProblem {
  readonly kind: 'circle' | 'no-machine'
  /** The machine whose `via` it is, or where the circle closes. */
  readonly name: MachineName
  readonly message: string
}

/** The machines that one is reached through, the nearest to it first, as far as the way leads. */
export interface Way<Jump> {
  readonly jumps: readonly Jump[]
  readonly problem?: WayProblem
}

/** Follows `via` from a machine to the one that is reached from this computer. */
export function followWay<Jump extends Pick<Machine, 'via'>>(
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
    jumps.push(jump)
    passed.push(to)
    from = to
    next = jump.via
  }
  return { jumps }
}

/** Finds every `via` that names no machine or is part of a circle. */
export function findWayProblems(
  machines: ReadonlyMap<MachineName, Pick<Machine, 'via'>>,
): readonly WayProblem[] {
  return [...machines].flatMap(([name, { via }]) => {
    const { problem } = followWay(machines, { name, via })
    return problem?.name === name ? [problem] : []
  })
}
