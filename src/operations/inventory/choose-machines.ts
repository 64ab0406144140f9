import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { isMachineName } from '../../machine/name.ts'
import {
  type MachineState,
  dependsOnState,
  parseSelector,
  select,
  selects,
} from '../../machine/selector.ts'
import { addMachineHint, noMachines, unknownMachine } from '../../machine/unknown-name.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Context } from '../context.ts'

/** The machine with the given name. Throws kind `unknown-machine`, with the nearest name. */
export function findMachine(inventory: Inventory, name: string): Machine {
  const machine = isMachineName(name) ? inventory.machines.get(name) : undefined
  if (machine !== undefined) return machine
  if (inventory.swarms.has(name)) {
    throw new UserError(
      'unknown-machine',
      `${name} is a swarm, but this command requires a machine`,
      {
        hint: `to see the swarm's machines: fleet swarm status ${name}`,
      },
    )
  }
  throw unknownMachine(name, [...inventory.machines.keys()])
}

/** The name of the default machine for commands: the value of $FLEET_MACHINE, or else the active machine, if any. */
export const activeName = async (context: Context): Promise<string | undefined> =>
  context.machineFromEnvironment ?? (await (await context.active()).current())

/** The value of $FLEET_MACHINE if it is set to a name other than `name`. */
export const overrideOf = ({ machineFromEnvironment }: Context, name: string): string | undefined =>
  machineFromEnvironment === name ? undefined : machineFromEnvironment

/** The default machine for commands, if any. Throws kind `unknown-machine` when it is not in the inventory. */
export async function findActive(
  context: Context,
  inventory: Inventory,
): Promise<Machine | undefined> {
  const name = await activeName(context)
  if (name === undefined) return undefined
  const machine = isMachineName(name) ? inventory.machines.get(name) : undefined
  if (machine !== undefined) return machine
  const [who, hint] =
    context.machineFromEnvironment === undefined
      ? ['the active machine is', 'choose another machine: fleet use NAME']
      : [
          'FLEET_MACHINE is set to',
          'unset FLEET_MACHINE, or set it to a machine in the inventory; to list the machines: fleet ls',
        ]
  throw new UserError('unknown-machine', `${who} ${name}, which is not in the inventory`, {
    hint:
      inventory.machines.size === 0 && context.machineFromEnvironment === undefined
        ? addMachineHint
        : hint,
  })
}

/**
 * The target machine of a command: the given one, or else the one in $FLEET_MACHINE, or else the active one. Throws
 * kind `unknown-machine` if the inventory does not have the machine, or has no machines, and kind `usage` if no machine
 * is active.
 */
export async function chooseMachine(context: Context, name: string | undefined): Promise<Machine> {
  const inventory = await (await context.inventory()).read()
  if (name !== undefined) return findMachine(inventory, name)
  const active = await findActive(context, inventory)
  if (active !== undefined) return active
  if (inventory.machines.size === 0) throw noMachines()
  throw new UserError('usage', 'no machine was specified, and none is active', {
    hint: 'specify a machine with --machine NAME, or set the active machine: fleet use NAME',
  })
}

/**
 * Like {@link chooseMachine}, for commands that use an engine: also accepts the name of a swarm, and then resolves to
 * one of its managers that answers. Throws kind `failed` if no manager answers.
 */
export async function chooseMachineOrManager(
  context: Context,
  name: string | undefined,
): Promise<Machine> {
  if (name !== undefined) {
    const { machines, swarms } = await (await context.inventory()).read()
    if (swarms.has(name) && !(machines as ReadonlyMap<string, Machine>).has(name)) {
      const { findManager } = await import('../swarm/find-manager.ts')
      return (await findManager(context, name, { signal: context.signal })).machine
    }
  }
  return chooseMachine(context, name)
}

/** The options that select machines. */
interface MachineSelection {
  readonly machine: string | undefined
  readonly on: readonly string[]
  /** Whether to select only the machines on which the last command that ran on several machines failed. */
  readonly retryFailed?: boolean
}

/** Whether the options select a set of machines (even a set of one). If so, the output shows the machine names. */
export const choosesMany = ({ on, retryFailed = false }: MachineSelection): boolean =>
  on.length > 0 || retryFailed

/** How long a machine may take to report its state for a selector, in milliseconds. */
const stateTimeoutMs = 5000

/**
 * Selects machines by the values of `--on`. If these include states, the machines that match the other terms are
 * queried first, as by `fleet status`. Throws as `select` does.
 */
async function selectMachines(
  context: Context,
  machines: readonly Machine[],
  on: readonly string[],
): Promise<readonly Machine[]> {
  const selector = parseSelector(on, { takesState: true })
  if (!dependsOnState(selector)) return select(machines, selector)
  const possible = machines.filter((machine) => selects(selector, machine))
  const { observeMachines } = await import('../machine/observe-machines.ts')
  const states = new Map<string, MachineState>()
  const options = { timeoutMs: stateTimeoutMs }
  for await (const { machine, state } of observeMachines(context, possible, options)) {
    states.set(machine.name, state)
  }
  return select(machines, selector, states)
}

/**
 * Selects the machines on which the last command that ran on several machines failed. Throws kind `unknown-machine` if
 * there are none.
 */
async function failedMachines(
  context: Context,
  machines: readonly Machine[],
): Promise<readonly Machine[]> {
  const names = new Set(await (await context.failures()).read())
  const failed = machines.filter(({ name }) => names.has(name))
  if (failed.length > 0) return failed
  throw new UserError('unknown-machine', 'the previous command did not fail on any machine', {
    hint: 'select machines with --on or --all',
  })
}

/** Selects the machines that have an engine. Throws kind `unknown-machine` if there are none. */
export function withEngines(chosen: readonly Machine[]): Machine[] {
  const withEngine = chosen.filter((machine) => machine.engine !== 'none')
  if (withEngine.length === 0) {
    throw new UserError('unknown-machine', 'the selected machines have no Docker engine', {
      hint: 'their inventory entries set engine: none',
    })
  }
  return withEngine
}

/**
 * The target machines of a command: those that the selectors choose, or else the one that `chooseMachine` finds.
 * Machines without an engine are included.
 */
export async function chooseHosts(
  context: Context,
  selection: MachineSelection,
): Promise<readonly Machine[]> {
  const { machine, on, retryFailed = false } = selection
  if (!choosesMany(selection)) return [await chooseMachine(context, machine)]
  const { machines } = await (await context.inventory()).read()
  const all = [...machines.values()]
  const selected = on.length === 0 ? all : await selectMachines(context, all, on)
  return retryFailed ? failedMachines(context, selected) : selected
}

/** The machines to list: the selected ones, or else all. Does not require an active machine. */
export async function listMachines(
  context: Context,
  { machine, on }: { machine: string | undefined; on: readonly string[] },
): Promise<Machine[]> {
  const inventory = await (await context.inventory()).read()
  if (machine !== undefined) return [findMachine(inventory, machine)]
  const all = [...inventory.machines.values()]
  return on.length === 0 ? all : [...(await selectMachines(context, all, on))]
}

/**
 * The machines given as arguments, or else the ones selected by options (in the order of the inventory), or else the
 * active one.
 */
export async function namedMachines(
  context: Context,
  {
    names,
    ...targets
  }: { names: readonly string[]; machine: string | undefined; on: readonly string[] },
): Promise<Machine[]> {
  if (names.length > 0) {
    const inventory = await (await context.inventory()).read()
    return [...new Set(names)].map((name) => findMachine(inventory, name))
  }
  return targets.on.length > 0
    ? listMachines(context, targets)
    : [await chooseMachine(context, targets.machine)]
}
