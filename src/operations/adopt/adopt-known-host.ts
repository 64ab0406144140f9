import type { RecalledHost } from '../../drivers/driver.ts'
import { checkOptions, checkSaidOptions } from '../../drivers/options/option-flags.ts'
import { UserError } from '../../errors.ts'
import type { MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { machineWith } from '../../state/inventory/inventory.ts'
import type { Context, Progress } from '../context.ts'
import type { CreatedMachine } from '../create/create-machine.ts'
import { newEntry } from '../create/new-entry.ts'
import { adoptHost } from './adopt-host.ts'
import type { HostKeyTrust } from '../trust/trust-host-key.ts'

/** A host, as its provider knows it. */
export interface HostId {
  readonly driver: string
  /** The provider's name for it. */
  readonly id: string
  /** Where to ask for it. */
  readonly options: Readonly<Record<string, unknown>>
}

/** A host of a provider that fleet did not make. */
export interface KnownHost extends HostId {
  readonly name: MachineName
  readonly labels: Readonly<Record<string, string>>
  readonly via?: MachineName | undefined
  readonly engine?: MachineEntry['engine']
  readonly identityFiles: readonly string[]
  readonly trust: HostKeyTrust
}

/** Asks a provider for a host. Throws as the driver does, and kind `unsupported` where it cannot do that. */
export async function recallHost(
  context: Context,
  { driver, id, options }: HostId,
  progress: Progress,
): Promise<RecalledHost> {
  const { defaults } = await (await context.inventory()).read()
  const said = checkSaidOptions(await context.driver(driver), options, defaults[driver])
  const loaded = await context.loadDriver(driver)
  if (loaded.describeExisting === undefined) {
    throw new UserError('unsupported', `the driver ${driver} cannot adopt a host by its ID`, {
      hint: 'adopt it over SSH: fleet adopt USER@ADDRESS',
    })
  }
  progress(`ask ${driver} for ${id}`)
  return loaded.describeExisting(id, said, { signal: context.signal, progress })
}

/**
 * Takes in a host that a provider was asked for. Its record has no token, so fleet never owns it: it is asked about and
 * switched like others, and removing the machine takes the entry away alone.
 */
export async function takeInRecalled(
  context: Context,
  { id: _, ...known }: KnownHost,
  { options: seen = {}, ...facts }: RecalledHost,
  progress: Progress,
): Promise<CreatedMachine> {
  const { name, driver } = known
  const inventory = await (await context.inventory()).read()
  const said = machineWith(inventory, name, newEntry(known, inventory))
  const unsaid = Object.entries(seen).filter(([key]) => !Object.hasOwn(said.options ?? {}, key))
  const options = { ...known.options, ...Object.fromEntries(unsaid) }
  const machine = { ...said, options: { ...said.options, ...options } }
  checkOptions(await context.driver(driver), machine.options, inventory.defaults[driver])
  const calls = { progress, approve: async () => false }
  return adoptHost(context, machine, facts, { ...known, options }, calls)
}

/** Takes in a host that a provider knows by an id. */
export async function adoptKnownHost(
  context: Context,
  known: KnownHost,
  progress: Progress,
): Promise<CreatedMachine> {
  const inventory = await (await context.inventory()).read()
  const { options = {} } = machineWith(inventory, known.name, newEntry(known, inventory))
  const recalled = await recallHost(context, { ...known, options }, progress)
  return takeInRecalled(context, known, recalled, progress)
}
