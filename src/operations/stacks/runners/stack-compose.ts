import { UserError, messageOf } from '../../../errors.ts'
import type { Machine } from '../../../machine/machine.ts'
import type { Context } from '../../context.ts'
import type { AskCompose } from '../hash-services.ts'
import type { ResolvedStack } from '../resolve-stack.ts'
import type { MachineCompose } from '../run-release.ts'
import type { StackFiles } from '../stack-files.ts'
import type { StackHost } from '../host-store/store-folder.ts'

/** Computes the hashes of services. The hashes may differ between versions of Compose. */
export interface Hasher {
  readonly version: string
  readonly ask: AskCompose
}

/** The Docker Compose that resolves and deploys stacks: on this computer, or on the hosts. */
export interface StackCompose {
  /**
   * The host on which stacks are resolved; if absent, this computer. Only files that the user has allowed may be sent
   * to the host.
   */
  readonly host?: string
  /** Resolves a stack with the given additional variables, which belong to a machine. Throws as `resolveStack` does. */
  resolve(files: StackFiles, variables: Readonly<Record<string, string>>): Promise<ResolvedStack>
  /** Returns a hasher for a machine's containers. `version`: the version of Compose that created the containers. */
  hasherOf(machine: Machine, version: string | undefined): Promise<Hasher>
  /** Returns Compose, connected to the engine of a machine. */
  on(machine: Machine, store: StackStore): Promise<MachineCompose>
}

/** The directory of a stack on a host. */
interface StackStore {
  readonly host: StackHost
  readonly folder: string
}

/**
 * Finds Compose: on this computer if its docker has the Compose plugin, or else on the first of the machines that has
 * it. `machines`: the stack's machines that have a host. Throws kind `unsupported` if Compose is not found.
 */
export async function findStackCompose(
  context: Context,
  machines: readonly Machine[],
): Promise<StackCompose> {
  const { findLocalCompose } = await import('./local-compose.ts')
  const local = await findLocalCompose(context)
  if (local !== undefined) return local
  const { findHostCompose } = await import('./host-compose.ts')
  let reason = "none of the stack's machines has a host yet"
  for (const machine of machines) {
    try {
      return await findHostCompose(context, machine)
    } catch (error) {
      context.signal.throwIfAborted()
      reason = `${machine.name}: ${messageOf(error)}`
    }
  }
  throw new UserError(
    'unsupported',
    `docker compose is not available on this computer or on any of the stack's hosts (${reason})`,
    {
      hint: 'install the docker-ce-cli and docker-compose-plugin packages on this computer (no engine is needed), or Compose on the hosts; then run fleet deploy',
    },
  )
}
