import { UserError } from '../../../errors.ts'
import type { Machine } from '../../../machine/machine.ts'
import { suggest } from '../../../machine/nearest-name.ts'
import { type Stack, machinesOf, stackNamePattern } from '../../../machine/stacks.ts'
import type { Inventory } from '../../../state/inventory/inventory.ts'
import type { Context } from '../../context.ts'
import { listMachines } from '../../inventory/choose-machines.ts'

/** The options that select machines. */
interface Selection {
  readonly machine: string | undefined
  readonly on: readonly string[]
}

/** A stack, and the machines on which a command acts. */
export interface ChosenStack {
  readonly name: string
  /** The stack's entry in the inventory; undefined for a stack that exists only on hosts. */
  readonly stack: Stack | undefined
  /** The machines that have an engine, in the order of the inventory. */
  readonly machines: readonly Machine[]
}

/** Returns the stack called `name`. Throws kind `usage`, with the most similar name, if there is none. */
export function findStack({ stacks }: Pick<Inventory, 'stacks'>, name: string): Stack {
  const stack = stacks.get(name)
  if (stack !== undefined) return stack
  const known = [...stacks.keys()]
  throw new UserError(
    'usage',
    `there is no stack called ${JSON.stringify(name)}${suggest(name, known)}`,
    {
      hint:
        known.length === 0
          ? 'define the stack under "stacks" in machines.yaml'
          : `stacks in the inventory: ${known.join(', ')}`,
    },
  )
}

const hasSelection = ({ machine, on }: Selection): boolean => machine !== undefined || on.length > 0

const hasEngine = ({ engine }: Machine): boolean => engine !== 'none'

/**
 * Returns the machines of a stack: those of its entry in the inventory, or exactly those that the options select. A
 * stack that is no longer in the inventory requires such options. Throws kind `usage` for an unknown stack, and
 * `unknown-machine` if there is no machine.
 */
export async function chooseStack(
  context: Context,
  name: string,
  selection: Selection,
): Promise<ChosenStack> {
  const inventory = await (await context.inventory()).read()
  const stack = inventory.stacks.get(name)
  // The name becomes part of paths on hosts.
  if (hasSelection(selection) && stackNamePattern.test(name)) {
    const machines = await listMachines(context, selection)
    return { name, stack, machines: machines.filter(hasEngine) }
  }
  const found = (() => {
    try {
      return findStack(inventory, name)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      const hint = `${error.hint}; if the stack was removed from the inventory, use --on to select its machines, for example --on all`
      throw new UserError(error.kind, error.message, { hint, cause: error })
    }
  })()
  const machines = machinesOf(found, inventory.machines.values()).filter(hasEngine)
  if (machines.length > 0) return { name, stack, machines }
  throw noMachines(found)
}

const noMachines = ({ name, on }: Stack): UserError =>
  new UserError('unknown-machine', `stack ${name} has no machines`, {
    hint: `the stack's selector in machines.yaml is ${on.join(', ')}; to list the machines: fleet ls`,
  })

type StacksAndMachines = Pick<Inventory, 'stacks' | 'machines'>

/** Returns the names of the stacks that have machines with an engine. */
export const stacksWithMachines = ({ stacks, machines }: StacksAndMachines): readonly string[] =>
  [...stacks.values()]
    .filter((stack) => machinesOf(stack, machines.values()).some(hasEngine))
    .map(({ name }) => name)

/**
 * Throws kind `unknown-machine` for the first of the named stacks that has no machines. A stack on a swarm does not
 * need machines.
 */
export function requireMachines(inventory: StacksAndMachines, names: readonly string[]): void {
  const used = stacksWithMachines(inventory)
  const unused = names
    .map((name) => findStack(inventory, name))
    .find(({ name, swarm }) => swarm === undefined && !used.includes(name))
  if (unused !== undefined) throw noMachines(unused)
}
