import type { Machine } from '../../machine/machine.ts'
import type { ResolvedStack } from './resolve-stack.ts'
import { machineVariables } from './stack-files.ts'

/** Lets compose resolve a stack with additional variables. */
export type ResolveWith = (variables: Readonly<Record<string, string>>) => Promise<ResolvedStack>

/** A value that no machine has, in the place of a variable. */
const probeValue = 'fleet-probe'

const modelText = (resolved: ResolvedStack): string => JSON.stringify(resolved.modelFor('/stack'))

/** Whether the model is the same with other values of the variables of a machine. */
async function isSameFor(
  resolve: ResolveWith,
  variables: Readonly<Record<string, string>>,
  resolved: Promise<ResolvedStack>,
): Promise<boolean> {
  const probes = Object.keys(variables).map((name) => [name, probeValue] as const)
  const probe = resolve(Object.fromEntries(probes)).then(modelText, () => undefined) // such as a port that is not a number
  return (await probe) === modelText(await resolved)
}

/**
 * Resolves a stack for each of its machines. Compose runs twice if the model is the same for all machines, else once for each
 * different set of variables. Throws as `resolve` does.
 */
export async function resolveForMachines(
  resolve: ResolveWith,
  machines: readonly Machine[],
): Promise<ReadonlyMap<string, ResolvedStack>> {
  const all = machines.map((machine) => ({
    name: machine.name,
    variables: machineVariables(machine),
  }))
  // Machines may have different labels: a probe must set all of their variables.
  const union = Object.assign({}, ...all.map(({ variables }) => variables)) as Record<
    string,
    string
  >
  const models = new Map<string, Promise<ResolvedStack>>()
  const resolveOnce = (variables: Readonly<Record<string, string>>): Promise<ResolvedStack> => {
    const key = JSON.stringify(
      Object.entries(variables).toSorted(([one], [other]) => (one < other ? -1 : 1)),
    )
    const known = models.get(key) ?? resolve(variables)
    models.set(key, known)
    return known
  }
  const [first] = all
  if (first === undefined) return new Map()
  const resolving = resolveOnce(first.variables)
  const [resolved, isSame] = await Promise.all([resolving, isSameFor(resolve, union, resolving)])
  const pairs = all.map(
    async ({ name, variables }) =>
      [name, isSame ? resolved : await resolveOnce(variables)] as const,
  )
  return new Map(await Promise.all(pairs))
}
