import { UserError } from '../errors.ts'
import type { Machine } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import type { Inventory } from '../state/inventory.ts'
import type { Change, ChangePlan } from './change-plan.ts'
import { findMachine } from './choose-machines.ts'
import type { Context, Progress } from './context.ts'
import { createMachine } from './create-machine.ts'
import { letOperatorsIn, operatorsOf } from './let-operators-in.ts'
import { removeMachine } from './remove-machine.ts'
import { switchPower } from './switch-power.ts'
import type { HostKeyTrust } from './trust-host-key.ts'

/** All that a plan does to one machine, in order. */
export interface MachineChanges {
  readonly name: MachineName
  readonly changes: readonly Change[]
}

/** What applying tells, and what stops it. */
interface ApplyCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
  readonly trust: HostKeyTrust
}

/** How many machines one is reached through. The check of the inventory has refused ways that lead in a circle. */
function depthOf({ machines }: Inventory, { name, via }: Machine): number {
  const passed = new Set<string>([name])
  for (let next = via; next !== undefined && !passed.has(next);) {
    passed.add(next)
    next = machines.get(next as MachineName)?.via
  }
  return passed.size
}

/** The changes of a plan by machine; those first that others are reached through. */
export function orderChanges(inventory: Inventory, plan: ChangePlan): readonly MachineChanges[] {
  const names = [...new Set(plan.changes.map(({ machine }) => machine))]
  return names
    .map((name) => findMachine(inventory, name))
    .toSorted((a, b) => depthOf(inventory, a) - depthOf(inventory, b))
    .map(({ name }) => ({
      name,
      changes: plan.changes.filter(({ machine }) => machine === name),
    }))
}

/**
 * Does the changes of machines, each machine's one after the other, and waits with a machine for those that it is reached
 * through. Each change is one that can be cut short anywhere: the next plan goes on with it.
 */
export function applyTo(context: Context, inventory: Inventory) {
  const under = new Map<string, Promise<void>>()
  return async ({ name, changes }: MachineChanges, calls: ApplyCalls): Promise<MachineChanges> => {
    const { via } = findMachine(inventory, name)
    const way = via === undefined ? undefined : under.get(via)
    const work = (async () => {
      if (way !== undefined) {
        calls.progress(`wait for ${via}`)
        await way.catch(() => {
          throw new UserError('failed', `${via}, the way to ${name}, failed`, { machine: name })
        })
      }
      for (const change of changes) await applyChange(context, change, calls)
    })()
    under.set(name, work)
    await work
    return { name, changes }
  }
}

async function applyChange(
  context: Context,
  { machine: name, action }: Change,
  { progress, signal, trust }: ApplyCalls,
): Promise<void> {
  const stoppable: Context = { ...context, signal }
  const inventory = await (await context.inventory()).read()
  const machine = findMachine(inventory, name)
  switch (action) {
    case 'create':
    case 'adopt':
      await createMachine(
        stoppable,
        { name: machine.name, trust },
        { progress, approve: async () => true },
      )
      return
    case 'start':
      await switchPower(stoppable, machine, 'start', { progress, signal })
      return
    case 'operators':
      progress('see to the keys of operators')
      await letOperatorsIn(
        stoppable,
        { fleet: inventory.id, machine, signal },
        operatorsOf(inventory, machine),
      )
      return
    case 'remove':
      if (machine.host?.phase !== 'removing' || machine.protected) {
        throw new UserError('failed', `the removal of ${name} was never begun: it stays`, {
          machine: name,
          hint: `fleet rm ${name}`,
        })
      }
      await removeMachine(stoppable, machine, { progress, signal })
  }
}
