import type { Machine } from './machine.ts'
import type { SwarmEntry } from './schema.ts'
import { parseSelector, selects } from './selector.ts'

/** A cluster of engines in Swarm mode: its entry, and its name. */
export type Swarm = Readonly<SwarmEntry> & { readonly name: string }

/** The swarms, keyed by name, in the order of the file. */
export type Swarms = ReadonlyMap<string, Swarm>

/** The role of a node (Node.Spec.Role of the Engine API). */
export type SwarmRole = 'manager' | 'worker'

const listOf = (value: string | readonly string[] = []): readonly string[] =>
  typeof value === 'string' ? [value] : value

/**
 * Returns the members of a swarm with their roles, in the given order. A machine that matches both selectors is a
 * manager.
 */
export function rolesOf<Selected extends Machine>(
  { managers, workers }: Pick<Swarm, 'managers' | 'workers'>,
  machines: Iterable<Selected>,
): ReadonlyMap<Selected['name'], SwarmRole> {
  const roles = new Map<Selected['name'], SwarmRole>()
  const managing = parseSelector(listOf(managers))
  const working = workers === undefined ? undefined : parseSelector(listOf(workers))
  for (const machine of machines) {
    if (machine.engine === 'none') continue
    if (selects(managing, machine)) roles.set(machine.name, 'manager')
    else if (working !== undefined && selects(working, machine)) roles.set(machine.name, 'worker')
  }
  return roles
}

/** A mistake in the definition of swarms. */
export interface SwarmProblem {
  readonly swarm: string
  /** The key whose value is invalid. If absent, the problem concerns the whole entry. */
  readonly key?: 'managers' | 'workers'
  /** The machine that the problem concerns. */
  readonly machine?: string
  readonly message: string
  /** The next step. If absent, the user should change the selectors or labels. */
  readonly hint?: string
  /** Whether the problem is only a risk, so that the swarm can be set up anyway. */
  readonly isWarning?: true
}

/**
 * Finds swarms without members, machines that are in several swarms, swarms that have the same name as a machine, and
 * numbers of managers that do not improve fault tolerance.
 */
export function findSwarmProblems(
  swarms: Swarms,
  machines: Iterable<Machine>,
): readonly SwarmProblem[] {
  const all = [...machines]
  const owners = new Map<string, string>()
  return [...swarms.values()].flatMap((swarm): SwarmProblem[] => {
    const { name, workers } = swarm
    const roles = rolesOf(swarm, all)
    const count = [...roles.values()].filter((role) => role === 'manager').length
    const problems: SwarmProblem[] = []
    const sameNamed = all.find((machine) => machine.name === name)
    if (sameNamed !== undefined) {
      const message = `${name} is both a machine name and a swarm name, so -m ${name} is ambiguous`
      problems.push({
        swarm: name,
        message,
        hint: `to rename the machine: fleet rename ${name} NAME`,
      })
    }
    if (count === 0) {
      const message = `swarm ${name}: no machine matches the selector for managers`
      problems.push({ swarm: name, key: 'managers', message })
    }
    const working = parseSelector(listOf(workers))
    if (workers !== undefined && !all.some((machine) => selects(working, machine))) {
      const message = `swarm ${name}: no machine matches the selector for workers`
      problems.push({ swarm: name, key: 'workers', message })
    }
    for (const machine of roles.keys()) {
      const owner = owners.get(machine)
      if (owner === undefined) owners.set(machine, name)
      else {
        const message = `${machine} is in the swarms ${owner} and ${name}; a machine can be in only one swarm`
        problems.push({ swarm: name, machine, message })
      }
    }
    if (count > 0 && count % 2 === 0) {
      const message = `swarm ${name} has ${count} managers, which tolerate no more failures than ${count - 1} would: use an odd number`
      problems.push({ swarm: name, key: 'managers', message, isWarning: true })
    }
    return problems
  })
}
