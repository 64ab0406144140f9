import { UserError } from '../errors.ts'
import type { Machine } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import type { Inventory } from '../state/inventory.ts'
import type { Transport } from '../transport/transport.ts'
import type { Context } from './context.ts'

/** A machine that may have to be reached through another one. */
type Reached = Pick<Machine, 'name' | 'via'>

/**
 * The machine to jump through, once the whole way is known to lead somewhere. Throws kind
 * `unknown-machine` where the inventory lacks a jump host, `inventory` when the way is a circle.
 */
function findJumpHost(
  inventory: Inventory,
  { name, via }: Reached,
  passed: readonly string[] = [],
): Machine | undefined {
  if (via === undefined) return undefined
  const way = [...passed, name]
  if (way.includes(via)) {
    throw new UserError('inventory', `the way goes in a circle: ${[...way, via].join(' via ')}`, {
      machine: name,
      hint: 'change "via" in their entries',
    })
  }
  const jump = inventory.machines.get(via as MachineName)
  if (jump === undefined) {
    throw new UserError('unknown-machine', `${name} is reached via ${via}, which is no machine`, {
      machine: name,
      hint: 'fleet ls shows the machines',
    })
  }
  findJumpHost(inventory, jump, way)
  return jump
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
  throw new UserError('usage', `${machine.name} is reached via ${name}, which has no host yet`, {
    machine: machine.name,
    hint: `make that one first: fleet create ${name}`,
  })
}

/** The connection to the machine that another one is reached through, if any. */
export async function connectJumpHost(
  context: Pick<Context, 'inventory' | 'connect'>,
  machine: Reached,
): Promise<Transport | undefined> {
  if (machine.via === undefined) return undefined
  const jump = findJumpHost(await (await context.inventory()).read(), machine)
  return jump && context.connect(jump)
}

/** The machines to jump through, the nearest to this computer last. */
export async function findJumpHosts(
  context: Pick<Context, 'inventory'>,
  machine: Reached,
): Promise<readonly Machine[]> {
  if (machine.via === undefined) return []
  const jump = findJumpHost(await (await context.inventory()).read(), machine)
  return jump === undefined ? [] : [jump, ...(await findJumpHosts(context, jump))]
}
