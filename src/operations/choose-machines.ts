import { UserError } from '../errors.ts'
import type { Machine } from '../machine/machine.ts'
import { isMachineName } from '../machine/name.ts'
import { nearest } from '../machine/nearest.ts'
import { parseSelector, select } from '../machine/selector.ts'
import type { Inventory } from '../state/inventory.ts'
import type { Context } from './context.ts'

/** The machine called `name`. Throws kind `unknown-machine`, with the nearest name. */
export function findMachine(inventory: Inventory, name: string): Machine {
  const machine = isMachineName(name) ? inventory.machines.get(name) : undefined
  if (machine !== undefined) return machine
  const near = nearest(name, [...inventory.machines.keys()])
  throw new UserError('unknown-machine', `there is no machine called ${JSON.stringify(name)}`, {
    hint: near === undefined ? 'fleet ls shows the machines' : `did you mean ${near}?`,
  })
}

/** What plain commands mean: the name in $FLEET_MACHINE, else the active machine's, if any. */
export const activeName = async (context: Context): Promise<string | undefined> =>
  context.machineFromEnvironment ?? (await (await context.active()).current())

/** The one machine that a command means: the named one, else $FLEET_MACHINE, else the active one. */
export async function chooseMachine(context: Context, name: string | undefined): Promise<Machine> {
  const inventory = await (await context.inventory()).read()
  const chosen = name ?? (await activeName(context))
  if (chosen !== undefined) return findMachine(inventory, chosen)
  throw new UserError('usage', 'no machine was named, and none is active', {
    hint: 'name one with --machine NAME, or make one active: fleet use NAME',
  })
}

/**
 * The machines that a command means: those that `selectors` choose, else the one that
 * `chooseMachine` finds. Hosts without an engine count only when they are named.
 */
export async function chooseMachines(
  context: Context,
  { machine, on }: { machine: string | undefined; on: readonly string[] },
): Promise<Machine[]> {
  if (on.length === 0) return [await chooseMachine(context, machine)]
  const inventory = await (await context.inventory()).read()
  const chosen = select([...inventory.machines.values()], parseSelector(on))
  const withEngine = chosen.filter((machine) => machine.engine !== 'none')
  if (withEngine.length === 0) {
    throw new UserError('unknown-machine', 'the machines selected have no Docker engine', {
      hint: 'their entries say engine: none',
    })
  }
  return withEngine
}

/** The machines to list: those chosen, else all. Needs no active one. */
export async function listMachines(
  context: Context,
  { machine, on }: { machine: string | undefined; on: readonly string[] },
): Promise<Machine[]> {
  const inventory = await (await context.inventory()).read()
  if (machine !== undefined) return [findMachine(inventory, machine)]
  const all = [...inventory.machines.values()]
  return on.length === 0 ? all : [...select(all, parseSelector(on))]
}

/** The machines named as arguments, else those that the options choose. */
export async function namedMachines(
  context: Context,
  names: readonly string[],
  targets: { machine: string | undefined; on: readonly string[] },
): Promise<Machine[]> {
  if (names.length > 0 && (targets.machine !== undefined || targets.on.length > 0)) {
    throw new UserError('usage', 'name machines as arguments, or with --machine and --on: not both')
  }
  if (names.length > 0) {
    const inventory = await (await context.inventory()).read()
    return [...new Set(names)].map((name) => findMachine(inventory, name))
  }
  return targets.on.length > 0
    ? listMachines(context, targets)
    : [await chooseMachine(context, targets.machine)]
}
