import type { Machine } from './machine.ts'
import type { MachineName } from './name.ts'
import { suggest } from './nearest.ts'

/** A `via` that leads nowhere. */
export interface WayProblem {
  /** The machine whose `via` it is. */
  readonly name: MachineName
  readonly message: string
}

type Machines = ReadonlyMap<MachineName, Pick<Machine, 'via'>>

/** The machines from `name` back to it, where its way leads through itself. */
function circleOf(machines: Machines, name: MachineName): readonly string[] | undefined {
  const way: string[] = [name]
  for (let via = machines.get(name)?.via; via !== undefined;) {
    if (via === name) return [...way, via]
    if (way.includes(via)) return undefined // a circle of others
    way.push(via)
    via = machines.get(via as MachineName)?.via
  }
  return undefined
}

/** Finds every `via` that names no machine or is part of a circle. */
export function findWayProblems(machines: Machines): readonly WayProblem[] {
  return [...machines].flatMap(([name, { via }]): readonly WayProblem[] => {
    if (via === undefined) return []
    if (!machines.has(via as MachineName)) {
      const meant = suggest(
        via,
        [...machines.keys()].filter((other) => other !== name),
      )
      return [{ name, message: `${name} is reached via ${via}, which is no machine${meant}` }]
    }
    const circle = circleOf(machines, name)
    return circle === undefined
      ? []
      : [{ name, message: `the way goes in a circle: ${circle.join(' via ')}` }]
  })
}
