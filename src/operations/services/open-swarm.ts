import { UserError } from '../../errors.ts'
import { suggest } from '../../machine/nearest-name.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Context } from '../context.ts'
import { activeName } from '../inventory/choose-machines.ts'
import { type Manager, findManager } from '../swarm/find-manager.ts'

/** A swarm to which requests are sent through its managers. */
export interface OpenSwarm {
  readonly name: string
  /**
   * Sends a request to a manager that responds and, if the connection breaks, to another one. Only for requests that
   * change nothing.
   */
  ask<Answer>(request: (manager: Manager) => Promise<Answer>): Promise<Answer>
  /** Like `ask`, but sends the request only once. */
  change<Answer>(request: (manager: Manager) => Promise<Answer>): Promise<Answer>
}

/** Opens a swarm of the inventory. The first request looks for a manager, and throws kind `failed` if none responds. */
export function openSwarm(context: Context, name: string): OpenSwarm {
  const { signal } = context
  let found: Promise<Manager> | undefined
  const manager = () => (found ??= findManager(context, name, { signal }))
  return {
    name,
    async ask(request) {
      const first = await manager()
      try {
        return await request(first)
      } catch (error) {
        if (!(error instanceof UserError) || error.kind !== 'unreachable') throw error
        found = findManager(context, name, { leaving: new Set([first.machine.name]), signal })
        return request(await found)
      }
    },
    change: async (request) => request(await manager()),
  }
}

const addSwarm = 'add a swarm to machines.yaml: swarms: { prod: { managers: role=manager } }'

/** The error for a name that does not belong to any swarm in the inventory, with the most similar name. */
export const unknownSwarm = (name: string, names: readonly string[]): UserError =>
  new UserError(
    'usage',
    `there is no swarm called ${JSON.stringify(name)}${suggest(name, names)}`,
    {
      hint: names.length === 0 ? addSwarm : `swarms in the inventory: ${names.join(', ')}`,
    },
  )

/**
 * Returns the name of the swarm that a command is for: the given name, or else that of the inventory's only swarm.
 * Throws kind `usage` for an unknown name, or if no name is given and the inventory does not have exactly one swarm.
 */
export function chooseSwarm(
  { swarms, machines }: Pick<Inventory, 'swarms' | 'machines'>,
  name: string | undefined,
): string {
  const names = [...swarms.keys()]
  if (name === undefined) {
    const [only, ...others] = names
    if (only === undefined) {
      throw new UserError('usage', 'the inventory has no swarms', { hint: addSwarm })
    }
    if (others.length === 0) return only
    throw new UserError('usage', `the inventory has ${names.length} swarms`, {
      hint: `choose a swarm with --machine: ${names.join(', ')}`,
    })
  }
  if (swarms.has(name)) return name
  const unknown = unknownSwarm(name, names)
  if (!(machines as ReadonlyMap<string, unknown>).has(name)) throw unknown
  throw new UserError('usage', `${name} is a machine, not a swarm`, {
    hint: unknown.hint,
  })
}

/**
 * Returns the swarm in which a command looks for a service's container: the swarm that `--machine` names, or the only
 * swarm in the inventory if there is no `--machine`, active machine or other selection. Undefined if the command is for
 * machines.
 */
export async function swarmOfTargets(
  context: Context,
  {
    machine,
    on,
    retryFailed,
  }: {
    readonly machine: string | undefined
    readonly on: readonly string[]
    readonly retryFailed: boolean
  },
): Promise<string | undefined> {
  if (on.length > 0 || retryFailed) return undefined
  const { swarms, machines } = await (await context.inventory()).read()
  if (swarms.size === 0) return undefined
  if (machine !== undefined) {
    const isMachine = (machines as ReadonlyMap<string, unknown>).has(machine)
    return swarms.has(machine) && !isMachine ? machine : undefined
  }
  if (swarms.size > 1 || (await activeName(context)) !== undefined) return undefined
  return [...swarms.keys()][0]
}
