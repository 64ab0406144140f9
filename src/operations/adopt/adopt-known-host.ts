import type { ExistingHost } from '../../drivers/driver.ts'
import { checkOptions, checkGivenOptions } from '../../drivers/options/option-flags.ts'
import { UserError } from '../../errors.ts'
import type { MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { machineWith } from '../../state/inventory/inventory.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import type { CreatedMachine } from '../create/create-machine.ts'
import { newEntry } from '../create/new-entry.ts'
import { adoptHost } from './adopt-host.ts'
import type { HostKeyTrust } from '../trust/trust-host-key.ts'

/** The identity of a host at its provider. */
export interface HostId {
  readonly driver: string
  /** The provider's ID of the host. */
  readonly id: string
  /** Driver options, such as the region. */
  readonly options: Readonly<Record<string, unknown>>
}

/** An existing host at a provider that fleet did not create, and the settings for its entry. */
export interface KnownHost extends HostId {
  readonly name: MachineName
  readonly labels: Readonly<Record<string, string>>
  readonly via?: MachineName | undefined
  readonly engine?: MachineEntry['engine']
  readonly identityFiles: readonly string[]
  readonly trust: HostKeyTrust
}

/**
 * Looks up an existing host at its provider. Throws kind `unsupported` if the driver cannot look up hosts by their ID,
 * and any error that the driver throws.
 */
export async function describeKnownHost(
  context: Context,
  { driver, id, options }: HostId,
  progress: Progress,
): Promise<ExistingHost> {
  const { defaults } = await (await context.inventory()).read()
  const given = checkGivenOptions(await context.driver(driver), options, defaults[driver])
  const loaded = await context.loadDriver(driver)
  if (loaded.describeExisting === undefined) {
    throw new UserError('unsupported', `the ${driver} driver cannot adopt a host by its ID`, {
      hint: 'adopt the host over SSH: fleet adopt USER@ADDRESS',
    })
  }
  progress(`look up ${id} with the ${driver} driver`)
  return loaded.describeExisting(id, given, { signal: context.signal, progress })
}

/**
 * Adopts a host that its provider has described. Its record has no token, because fleet does not own the host: fleet
 * manages its state and power like those of other machines, but removing the machine removes only the entry.
 */
export async function adoptDescribedHost(
  context: Context,
  { id: _, ...known }: KnownHost,
  { options: seen = {}, ...facts }: ExistingHost,
  progress: Progress,
): Promise<CreatedMachine> {
  const { name, driver } = known
  const inventory = await (await context.inventory()).read()
  const written = machineWith(inventory, name, newEntry(known, inventory))
  const observed = Object.entries(seen).filter(
    ([key]) => !Object.hasOwn(written.options ?? {}, key),
  )
  const options = { ...known.options, ...Object.fromEntries(observed) }
  const machine = { ...written, options: { ...written.options, ...options } }
  checkOptions(await context.driver(driver), machine.options, inventory.defaults[driver])
  const calls = { progress, approve: async () => false }
  return adoptHost(context, machine, facts, { ...known, options }, calls)
}

/** Looks up a host by its ID at the provider, and adopts it. */
export async function adoptKnownHost(
  context: Context,
  known: KnownHost,
  progress: Progress,
): Promise<CreatedMachine> {
  const inventory = await (await context.inventory()).read()
  const { options = {} } = machineWith(inventory, known.name, newEntry(known, inventory))
  const recalled = await describeKnownHost(context, { ...known, options }, progress)
  return adoptDescribedHost(context, known, recalled, progress)
}
