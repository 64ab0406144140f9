import { UserError } from '../errors.ts'
import type { Machine } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import type { Inventory } from '../state/inventory.ts'
import type { Context } from './context.ts'

/** Asks the person to type the name of a protected machine; resolves to what was typed. */
export type AskName = (machine: Machine) => Promise<string>

/**
 * Removes machines. Their drivers make no hosts, so this is forgetting them. Throws as
 * {@link forgetMachines} does, and kind `unsupported` when a driver is not known here: another fleet may
 * have made that host, and who takes away its entry alone leaves it running, unseen.
 */
export async function removeMachines(
  context: Context,
  machines: readonly Machine[],
  askName: AskName,
): Promise<void> {
  for (const machine of machines) await checkDriver(context, machine)
  await forgetMachines(context, machines, askName)
}

async function checkDriver(context: Context, { name, driver }: Machine): Promise<void> {
  await context.driver(driver).catch((error: unknown) => {
    throw new UserError(
      'unsupported',
      `this fleet has no driver ${driver} to remove ${name} with`,
      {
        machine: name,
        hint: `use a fleet that has it; or leave the host as it is: fleet forget ${name}`,
        cause: error,
      },
    )
  })
}

/**
 * Forgets machines: their entries go, and nothing on the hosts changes. All is checked before the
 * first goes. Throws kind `usage` when another machine is reached through one of them, `cancelled`
 * when the name of a protected one is not typed.
 */
export async function forgetMachines(
  context: Context,
  machines: readonly Machine[],
  askName: AskName,
): Promise<void> {
  const store = await context.inventory()
  const names = new Set(machines.map(({ name }) => name))
  const inventory = await store.read()
  for (const name of names) checkUnused(inventory, name, names)
  for (const machine of machines) if (machine.protected) await checkTyped(machine, askName)
  const active = await context.active()
  for (const { name } of machines) {
    await store.update(name, (_entry, newest) => {
      checkUnused(newest, name, names)
      return undefined
    })
    await active.drop(name)
  }
}

async function checkTyped(machine: Machine, askName: AskName): Promise<void> {
  const { name } = machine
  if ((await askName(machine)) === name) return
  throw new UserError('cancelled', `${name} is protected, and its name was not typed: it stays`, {
    machine: name,
  })
}

/** Machines that go together may be reached through each other. */
function checkUnused(
  inventory: Inventory,
  name: MachineName,
  leaving: ReadonlySet<MachineName>,
): void {
  const users = [...inventory.machines.values()].filter(
    (machine) => machine.via === name && !leaving.has(machine.name),
  )
  if (users.length === 0) return
  const list = users.map((machine) => machine.name).join(', ')
  throw new UserError('usage', `${name} is the way to ${list}`, {
    machine: name,
    hint: `remove ${list} too, or change "via" there first`,
  })
}
