import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { observedFacts } from '../adopt/observed-facts.ts'
import { settingsOf } from './prepare-settings.ts'
import {
  type ProvisionAims,
  type ProvisionCalls,
  type ProvisionedHost,
  provisionHost,
} from './provision-host.ts'

/**
 * Installs or repairs the engine of a machine, changes the engine's settings, and records the new facts about the host.
 * Changes nothing if there is nothing to do. Throws kind `usage` for a machine with `engine: none`.
 */
export async function provisionMachine(
  context: Context,
  machine: Machine,
  calls: ProvisionCalls,
  aims: Omit<ProvisionAims, 'settings'> = {},
): Promise<ProvisionedHost> {
  const { name } = machine
  if (machine.engine === 'none') {
    throw new UserError('usage', `the entry for ${name} sets "engine: none"`, {
      machine: name,
      hint: 'to provision the machine, remove "engine: none" from the entry',
    })
  }
  const settings = await settingsOf(context, machine)
  const transport = await context.connect(machine)
  const target = { machine: name, transport, socket: machine.host?.socket, signal: context.signal }
  const provisioned = await provisionHost(
    target,
    machine.engine,
    { prompt: context.prompt, ...calls },
    { ...aims, settings },
  )
  const facts = observedFacts(provisioned.probe)
  await (
    await context.inventory()
  ).update(
    name,
    (entry) => entry && { ...entry, ...(entry.host && { host: { ...entry.host, ...facts } }) },
  )
  return provisioned
}
