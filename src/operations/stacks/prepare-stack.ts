import { type Machine, hasHost } from '../../machine/machine.ts'
import type { Stack } from '../../machine/stacks.ts'
import type { Context } from '../context.ts'
import { digestModel } from './deploy-machine.ts'
import { resolveForMachines } from './machine-models.ts'
import type { ResolvedStack } from './resolve-stack.ts'
import { type StackCompose, findStackCompose } from './runners/stack-compose.ts'
import { type StackGrant, findStackGrants, requireStackGrants } from './stack-grants.ts'
import { type StackFiles, readStackFiles, usedVariables } from './stack-files.ts'

/** A stack that has been resolved for its machines. */
export interface PreparedStack {
  readonly stack: Stack
  readonly files: StackFiles
  readonly compose: StackCompose
  /** The resolved stack for each machine, keyed by machine name. */
  readonly models: ReadonlyMap<string, ResolvedStack>
  /** The address for which each machine's model was resolved, keyed by machine name. */
  readonly addresses: ReadonlyMap<string, string | undefined>
  /** The files and variables on this computer that the stack uses and the user has not allowed yet. */
  readonly grants: readonly StackGrant[]
}

/**
 * Returns the digest of the model to deploy for a resolved stack. It does not depend on the directory of the files on a
 * host.
 */
export const digestOf = (resolved: ResolvedStack): string =>
  digestModel(resolved.modelFor('/stack'))

/** Returns a function that finds Compose for a stack. Compose on this computer is looked for only once. */
export function composeFinder(
  context: Context,
): (machines: readonly Machine[]) => Promise<StackCompose> {
  const local = import('./runners/local-compose.ts').then(({ findLocalCompose }) =>
    findLocalCompose(context),
  )
  local.catch(() => {}) // awaited when a stack needs it
  return async (machines) => (await local) ?? findStackCompose(context, machines)
}

/**
 * Reads the files of a stack, and resolves it with Compose for each machine. The address of a machine without a host is
 * empty. Throws kind `usage` if a host would have to read files that the user has not allowed, and otherwise throws as
 * `resolveStack` does.
 */
export async function prepareStack(
  context: Context,
  stack: Stack,
  machines: readonly Machine[],
  findCompose: ReturnType<typeof composeFinder>,
): Promise<PreparedStack> {
  const { location } = await context.inventory()
  const [files, compose] = await Promise.all([
    readStackFiles(location, stack, context.env),
    findCompose(machines.filter(hasHost)),
  ])
  if (compose.host !== undefined) {
    const read = [{ taken: [...files.inputs.files.keys()] }]
    requireStackGrants(
      await findStackGrants(context, files, read),
      `fleet deploy ${stack.name} --on ${compose.host}`,
    )
  }
  const models = await resolveForMachines(
    {
      variablesOf: (machine) => usedVariables(files, machine),
      resolve: (variables) => compose.resolve(files, variables),
    },
    machines,
  )
  const grants = await findStackGrants(context, files, [...new Set(models.values())])
  const addresses = new Map(machines.map(({ name, host }) => [name as string, host?.address]))
  return { stack, files, compose, models, addresses, grants }
}

/**
 * Returns the resolved stack for a machine whose host may have a new address since the stack was prepared; undefined if
 * the files have changed since then.
 */
export async function resolveForAddress(
  { compose, files, models, addresses }: PreparedStack,
  machine: Machine,
): Promise<ResolvedStack | undefined> {
  const variables = usedVariables(files, machine)
  const [before, address = ''] = [models.get(machine.name), addresses.get(machine.name)]
  const now = variables['FLEET_ADDRESS']
  if (before === undefined || now === undefined || now === address) return before
  const again = await compose.resolve(files, { ...variables, FLEET_ADDRESS: address })
  if (digestOf(again) !== digestOf(before)) return undefined
  return compose.resolve(files, variables)
}
