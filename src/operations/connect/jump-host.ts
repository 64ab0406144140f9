import { UserError } from '../../errors.ts'
import { type Machine, noHostYet, setUpCommand } from '../../machine/machine.ts'
import { resolveJumpChain } from '../../machine/jump-hosts.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Context, Stores } from '../context.ts'

/** A machine that may have a jump host. */
type Reached = Pick<Machine, 'name' | 'via'>

/**
 * The jump hosts of a machine, starting with the one nearest to the machine. Throws kind `unknown-machine` when one of
 * them is not in the inventory, and `inventory` when the chain is circular.
 */
export async function findJumpHosts(
  { inventory }: Pick<Stores, 'inventory'>,
  machine: Reached,
): Promise<readonly Machine[]> {
  if (machine.via === undefined) return []
  const { machines } = await (await inventory()).read()
  const { jumps, problem } = resolveJumpChain(machines, machine)
  if (problem === undefined) return jumps
  const { kind, name, message } = problem
  throw kind === 'cycle'
    ? new UserError('inventory', message, {
        machine: name,
        hint: 'change "via" in the entry for one of these machines',
      })
    : new UserError('unknown-machine', message, {
        machine: name,
        hint: 'to list the machines: fleet ls',
      })
}

/**
 * Checks the jump hosts of a machine before it is created. Throws as {@link findJumpHosts} does, and kind `usage` when a jump
 * host has not been created or adopted yet.
 */
export async function checkJumpHosts(
  context: Pick<Stores, 'inventory'>,
  machine: Reached,
): Promise<void> {
  const jumps = await findJumpHosts(context, machine)
  const unready = jumps.find(({ host }) => host?.phase !== 'ready')
  if (unready === undefined) return
  throw new UserError(
    'usage',
    `${machine.name} uses the jump host ${unready.name}, which ${noHostYet(unready)}`,
    {
      machine: machine.name,
      hint: `set up the jump host first: ${setUpCommand(unready)}`,
    },
  )
}

/** The connection to the jump host of a machine, if it has one. */
export async function connectJumpHost(
  context: Pick<Context, 'inventory' | 'connect'>,
  machine: Reached,
): Promise<Transport | undefined> {
  const [nearest] = await findJumpHosts(context, machine)
  return nearest && context.connect(nearest)
}
