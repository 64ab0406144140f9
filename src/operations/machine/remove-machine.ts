import type { Driver } from '../../drivers/driver.ts'
import { UntrustedDriver } from '../../drivers/external/find-package.ts'
import { UserError } from '../../errors.ts'
import { type HostRecord, type Machine, usesExistingHosts } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { countingProfile } from '../../machine/profiles.ts'
import { type Inventory, machineWith } from '../../state/inventory/inventory.ts'
import { scopeOf } from '../../state/home/provider-scopes.ts'
import { checkMachine } from '../../state/yaml/normalize-entry.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { updateRecord } from '../inventory/update-record.ts'

/** Asks the user to type the name of a protected machine; resolves to the answer. */
export type AskName = (machine: Machine) => Promise<string>

/** Callbacks and options of a removal. */
export interface RemoveCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
  /** The machines that are being removed together; they may be jump hosts of each other. */
  readonly leaving?: ReadonlySet<string>
  /**
   * Waits until the other removals have reached the same point, so that each provider can be asked about many hosts in
   * one call.
   */
  readonly meet?: () => Promise<void>
}

/**
 * Checks that all machines can be removed, before the first one is removed. Throws as {@link checkCanForget} does, and
 * kind `unsupported` when a driver is not installed: if only the entry were removed, the host would keep running
 * unnoticed.
 */
export async function checkRemovable(
  context: Context,
  machines: readonly Machine[],
  askName: AskName,
): Promise<void> {
  for (const machine of machines) await loadDriver(context, machine)
  await checkCanForget(context, machines, askName)
}

/**
 * Checks that all entries can be removed, before the first one is removed. Throws kind `usage` when one of the machines
 * is the jump host of another machine, and `cancelled` when the user does not type the name of a protected machine.
 */
export async function checkCanForget(
  context: Context,
  machines: readonly Machine[],
  askName: AskName,
): Promise<void> {
  const inventory = await (await context.inventory()).read()
  const names = new Set(machines.map(({ name }) => name))
  for (const machine of machines) checkWritten(inventory, machine, machines.length)
  for (const name of names) checkUnused(inventory, name, names)
  for (const name of names) await checkStillWanted(context, inventory, name)
  for (const machine of machines) if (machine.protected) await checkTyped(machine, askName)
}

/**
 * Throws kind `usage` for a machine that has no entry to remove, because it exists only through the count of a profile.
 */
function checkWritten(inventory: Inventory, { name }: Machine, of: number): void {
  if (inventory.entries.has(name)) return
  const others = of > 1 ? '; no machine was removed' : ''
  throw new UserError(
    'usage',
    `${name} has not been created, so there is nothing to remove${others}`,
    {
      machine: name,
      hint: describeRecreation(inventory, [name])[0],
    },
  )
}

/**
 * Writes one sentence for each profile that would create removed machines again, with the commands that prevent this.
 */
export function describeRecreation(
  { profiles }: Pick<Inventory, 'profiles'>,
  names: readonly string[],
): string[] {
  const wanted = names.flatMap((name) => {
    const counted = countingProfile(profiles, name)
    return counted === undefined ? [] : { name, ...counted }
  })
  return [...new Set(wanted.map(({ profile }) => profile))].map((profile) => {
    const gone = wanted.filter((counted) => counted.profile === profile)
    const [{ count } = { count: 0 }] = gone
    const rest = count - gone.length
    const numbers = new Set(gone.map(({ number }) => number))
    const gaps = gone.filter(({ number }) => number <= rest)
    const last = Array.from({ length: count - rest }, (_, index) => count - index).filter(
      (number) => !numbers.has(number),
    )
    const commands = [
      ...gaps.map(({ name }, index) => `fleet rename ${profile}-${last[index]} ${name}`),
      `fleet set --profile ${profile} count=${rest}`,
    ]
    const list = gone.map(({ name }) => name).join(', ')
    return `profile ${profile} sets "count: ${count}", so the next fleet apply will create ${list} again; to prevent this: ${commands.join(' && ')}`
  })
}

async function checkTyped(machine: Machine, askName: AskName): Promise<void> {
  const { name } = machine
  if ((await askName(machine)) === name) return
  throw new UserError(
    'cancelled',
    `${name} was not removed: it is protected, and its name was not confirmed`,
    {
      machine: name,
    },
  )
}

/** Throws kind `usage` for a machine that is the jump host of another machine, unless both are removed together. */
function checkUnused(inventory: Inventory, name: MachineName, leaving: ReadonlySet<string>): void {
  const users = [...inventory.machines.values()].filter(
    (machine) => machine.via === name && !leaving.has(machine.name),
  )
  if (users.length === 0) return
  const list = users.map((machine) => machine.name).join(', ')
  throw new UserError('usage', `cannot remove ${name}: it is the jump host for ${list}`, {
    machine: name,
    hint: `remove ${list} as well, or change "via" in the inventory first`,
  })
}

/**
 * Throws kind `usage` for a machine that is still included in the count of a profile and would be invalid without its
 * entry: removing the entry would make the inventory invalid.
 */
async function checkStillWanted(
  context: Context,
  inventory: Inventory,
  name: MachineName,
): Promise<void> {
  const wanted = countingProfile(inventory.profiles, name)
  if (wanted === undefined) return
  const bare = machineWith(inventory, name, { extends: wanted.profile })
  if (usesExistingHosts(bare.driver)) return
  const { options } = await context.driver(bare.driver)
  try {
    checkMachine(bare, inventory, () => options)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    const lacking = error.message.slice(`${name}.`.length)
    throw new UserError(
      'usage',
      `cannot remove ${name}: profile ${wanted.profile} still creates it, but requires settings from its entry (${lacking})`,
      { machine: name, hint: describeRecreation(inventory, [name])[0], cause: error },
    )
  }
}

/**
 * Removes a machine: its entry and, if fleet created the host, the host with all its resources. It is not an error if
 * the host no longer exists. Resources that cannot be removed are listed in the error, and the entry is kept until they
 * are removed.
 */
export async function removeMachine(
  context: Context,
  machine: Machine,
  calls: RemoveCalls,
): Promise<void> {
  const { lifecycle } = await loadDriver(context, machine)
  const { name, host } = machine
  const { leaving } = calls
  if (lifecycle === undefined || host?.token === undefined) {
    return forgetMachine(context, machine, leaving)
  }
  await removeCreatedHost(context, { name, token: host.token, lifecycle }, calls, {
    forget: (record) => forgetMachine(context, { ...machine, host: record }, leaving),
  })
}

/** A host that fleet created. */
interface CreatedHost {
  readonly name: MachineName
  readonly token: string
  readonly lifecycle: NonNullable<Driver['lifecycle']>
}

/**
 * Removes a host that fleet created, with all its resources, and then its record (with `forget`) and its login key. If
 * the removal is interrupted, the record has the phase `removing` and, if a new host is to follow, `replacing`.
 */
export async function removeCreatedHost(
  context: Context,
  { name, token, lifecycle }: CreatedHost,
  calls: RemoveCalls,
  {
    forget,
    replacing,
  }: { readonly forget: (record: HostRecord) => Promise<void>; readonly replacing?: true },
): Promise<void> {
  await context.creations().withLock(token, name, async () => {
    const { id: fleet } = await (await context.inventory()).read()
    const leavingHost = { fleet, machine: name, token }
    await context.removals().begin(leavingHost)
    const record = await updateRecord(context, name, token, (newest) => ({
      ...newest,
      phase: 'removing',
      ...(replacing && { replacing }),
    }))
    await calls.meet?.()
    calls.progress('remove the host')
    await lifecycle.remove(record, calls)
    await forget(record)
    await context.removals().end(leavingHost)
    if (record.key !== undefined) await context.keys().forget(record.key)
  })
}

function loadDriver(context: Context, { name, driver }: Machine): Promise<Driver> {
  return context.loadDriver(driver).catch((error: unknown) => {
    if (error instanceof UntrustedDriver) throw error
    throw new UserError(
      'unsupported',
      `cannot remove ${name}: its driver ${driver} is not installed`,
      {
        machine: name,
        hint: `install the driver, or remove only the entry and keep the host: fleet forget ${name}`,
        cause: error,
      },
    )
  })
}

/**
 * Removes the entry of a machine without changing the host. The login key of a host that fleet created is kept in
 * fleet's home directory, since the host does not accept any other key.
 */
export async function forgetMachine(
  context: Context,
  { name, driver, options = {}, host }: Machine,
  leaving: ReadonlySet<string> = new Set([name]),
): Promise<void> {
  const store = await context.inventory()
  if (host?.token !== undefined) {
    const { id, defaults } = await store.read()
    const scope = scopeOf(driver, { ...defaults[driver], ...options }, host.resources)
    await context.providerScopes().remember(id, scope)
  }
  await store.update(name, (_entry, newest) => {
    checkUnused(newest, name, leaving)
    return undefined
  })
  await (await context.active()).drop(name)
  if (host?.token !== undefined) await context.creations().drop(host.token)
}
