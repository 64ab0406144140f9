import type { Machine } from '../../machine/machine.ts'
import type { ResolvedStack } from './resolve-stack.ts'

/** Variables for Compose files, keyed by name. */
type Variables = Readonly<Record<string, string>>

/** The functions that resolve a stack for its machines. */
export interface MachineResolver {
  /** Returns the variables of a machine that the stack's files use. */
  readonly variablesOf: (machine: Machine) => Variables
  /** Resolves the stack with Compose and additional variables. */
  readonly resolve: (variables: Variables) => Promise<ResolvedStack>
}

/** Resolves a stack for each of its machines, once for each different set of variables. Throws as `resolve` does. */
export async function resolveForMachines(
  { variablesOf, resolve }: MachineResolver,
  machines: readonly Machine[],
): Promise<ReadonlyMap<string, ResolvedStack>> {
  const models = new Map<string, Promise<ResolvedStack>>()
  const resolveOnce = (variables: Variables): Promise<ResolvedStack> => {
    const key = JSON.stringify(
      Object.entries(variables).toSorted(([one], [other]) => (one < other ? -1 : 1)),
    )
    const known = models.get(key) ?? resolve(variables)
    models.set(key, known)
    return known
  }
  const pairs = machines.map(
    async (machine) => [machine.name as string, await resolveOnce(variablesOf(machine))] as const,
  )
  return new Map(await Promise.all(pairs))
}
