import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { shellQuote } from '../../os/shell-quote.ts'
import type { Invocation } from '../command.ts'

/**
 * Resolves to the machines for a command that docker has too, but for containers. If a machine's name is unknown, the
 * hint suggests the equivalent command for containers.
 */
export async function chooseNamed(
  { fleet, targets }: Pick<Invocation, 'fleet' | 'targets'>,
  verb: string,
): Promise<Machine[]> {
  const { namedMachines } = await import('../../operations/inventory/choose-machines.ts')
  try {
    return await namedMachines(fleet, targets)
  } catch (error) {
    if (!(error instanceof UserError) || error.kind !== 'unknown-machine') throw error
    const [name] = targets.names
    if (name === undefined) throw error
    throw new UserError(error.kind, error.message, {
      hint: `${error.hint}; for a container: fleet container ${verb} ${shellQuote(name)}`,
      cause: error,
    })
  }
}
