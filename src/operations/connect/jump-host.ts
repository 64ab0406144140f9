import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { resolveJumpChain } from '../../machine/jump-hosts.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Context } from '../context.ts'

/** A machine that may have to be reached through another one. */
type Reached = Pick<Machine, 'name' | 'via'>

/**
 * The machines to jump through, the nearest to the machine first, once the whole way is known to lead somewhere. Throws kind
 * `unknown-machine` where the inventory lacks one, `inventory` when the way is a circle.
 */
export async function findJumpHosts(
  { inventory }: Pick<Context, 'inventory'>,
  machine: Reached,
): Promise<readonly Machine[]> {
  if (machine.via === undefined) return []
  const { machines } = await (await inventory()).read()
  const { jumps, problem } = resolveJumpChain(machines, machine)
  if (problem === undefined) return jumps
  const { kind, name, message } = problem
  throw kind === 'circle'
    ? new UserError('inventory', message, { machine: name, hint: 'change "via" in their entries' })
    : new UserError('unknown-machine', message, {
        machine: name,
        hint: 'list the machines: fleet ls',
      })
}

/**
 * Checks the way to a machine that is to be made, before anything is: it would never be reached. Throws as
 * {@link findJumpHosts} does, and kind `usage` where a jump host has no host yet.
 */
export async function checkWay(
  context: Pick<Context, 'inventory'>,
  machine: Reached,
): Promise<void> {
  const jumps = await findJumpHosts(context, machine)
  const unmade = jumps.find(({ host }) => host?.phase !== 'ready')
  if (unmade === undefined) return
  const { name } = unmade
  throw new UserError(
    'usage',
    `${machine.name} uses the jump host ${name}, which has not been created yet`,
    {
      machine: machine.name,
      hint: `create it first: fleet create ${name}`,
    },
  )
}

/** The connection to the machine that another one is reached through, if any. */
export async function connectJumpHost(
  context: Pick<Context, 'inventory' | 'connect'>,
  machine: Reached,
): Promise<Transport | undefined> {
  const [nearest] = await findJumpHosts(context, machine)
  return nearest && context.connect(nearest)
}
