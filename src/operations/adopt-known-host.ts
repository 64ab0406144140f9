import { checkOptions } from '../drivers/option-flags.ts'
import { UserError } from '../errors.ts'
import type { MachineEntry } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import { machineWith } from '../state/inventory.ts'
import type { Context, Progress } from './context.ts'
import type { CreatedMachine } from './create-machine.ts'
import { draftEntry } from './draft-entry.ts'
import { takeInHost } from './take-in-host.ts'
import type { HostKeyTrust } from './trust-host-key.ts'

/** A host of a provider that fleet did not make. */
export interface KnownHost {
  readonly name: MachineName
  readonly driver: string
  /** The provider's name for it. */
  readonly id: string
  readonly options: Readonly<Record<string, unknown>>
  readonly labels: Readonly<Record<string, string>>
  readonly via: MachineName | undefined
  readonly engine: MachineEntry['engine']
  readonly identityFiles: readonly string[]
  readonly trust: HostKeyTrust
}

/**
 * Takes in a host that a provider knows by an id. Its record has no token, so fleet never owns it: it is asked about and
 * switched like others, and removing the machine takes the entry away alone.
 */
export async function adoptKnownHost(
  context: Context,
  known: KnownHost,
  progress: Progress,
): Promise<CreatedMachine> {
  const { id, ...request } = known
  const { name, driver } = known
  const inventory = await (await context.inventory()).read()
  const machine = machineWith(inventory, name, draftEntry(request, inventory))
  const definition = await context.driver(driver)
  const options = checkOptions(definition, machine.options ?? {}, inventory.defaults[driver])
  const loaded = await context.loadDriver(driver)
  if (loaded.recall === undefined) {
    throw new UserError('unsupported', `the driver ${driver} takes in no host by its id`, {
      hint: 'take it in over SSH: fleet adopt USER@ADDRESS',
    })
  }
  progress(`ask ${driver} for ${id}`)
  const facts = await loaded.recall(id, options, { signal: context.signal, progress })
  return takeInHost(context, machine, facts, request, { progress, approve: async () => false })
}
