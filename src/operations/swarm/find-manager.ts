import type { Engine } from '../../engine/engine.ts'
import { readSwarmInfo } from '../../engine/swarm/info.ts'
import { type SwarmNode, listNodes } from '../../engine/swarm/nodes.ts'
import { UserError } from '../../errors.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import { rolesOf } from '../../machine/swarms.ts'
import type { Context } from '../context.ts'
import { firstAnswer } from '../fan-out/first-answer.ts'

/** How long one manager may take to answer, in milliseconds. */
const answerMs = 10_000

/** How long to wait for a response before also trying the next manager, in milliseconds. */
const nextAfterMs = 1000

/** A manager that has responded, with the nodes that it lists. */
export interface Manager {
  readonly machine: Machine
  readonly engine: Engine
  readonly nodes: readonly SwarmNode[]
}

/**
 * Returns the current inventory, and a swarm with its ID. Throws kind `usage` if the swarm is not in the inventory, and
 * `failed` if it is not initialized.
 */
export async function initializedSwarm(context: Context, name: string) {
  const inventory = await (await context.inventory()).read()
  const swarm = inventory.swarms.get(name)
  if (swarm === undefined)
    throw new UserError('usage', `swarm ${name} is no longer in the inventory`)
  const { id } = swarm
  if (id === undefined) {
    throw new UserError('failed', `swarm ${name} is not initialized`, {
      hint: 'to initialize the swarm: fleet apply',
    })
  }
  return { inventory, swarm: { ...swarm, id } }
}

/**
 * Finds the first manager of a swarm that responds, with the nodes that it lists. `leaving`: machines that are tried
 * last, because they may stop being managers. Throws kind `failed` if none responds.
 */
export async function findManager(
  context: Context,
  name: string,
  { leaving, signal }: { readonly leaving?: ReadonlySet<string>; readonly signal: AbortSignal },
): Promise<Manager> {
  const { inventory, swarm } = await initializedSwarm(context, name)
  const roles = rolesOf(swarm, inventory.machines.values())
  const rank = (machine: Machine): number =>
    leaving?.has(machine.name) === true ? 2 : roles.get(machine.name) === 'manager' ? 0 : 1
  const candidates = [...inventory.machines.values()]
    .filter((machine) => hasHost(machine) && machine.engine !== 'none' && machine.stopped !== true)
    .toSorted((one, other) => rank(one) - rank(other))
  const ask = async (machine: Machine, stop: AbortSignal): Promise<Manager | undefined> => {
    const engine = await context.with({ signal: stop }).engine(machine)
    const { cluster } = await readSwarmInfo(engine, stop)
    if (cluster?.id !== swarm.id) return undefined
    return { machine, engine, nodes: await listNodes(engine, stop) }
  }
  const found = await firstAnswer(candidates, ask, { nextAfterMs, answerMs, signal })
  if (found !== undefined) return found
  signal.throwIfAborted()
  throw new UserError('failed', `no manager of swarm ${name} responded`, {
    hint: `to see the swarm's nodes: fleet swarm status ${name}`,
  })
}
