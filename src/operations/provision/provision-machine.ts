import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { EngineAims } from '../../provision/engine/plan.ts'
import type { Context } from '../context.ts'
import { observedFacts } from '../adopt/observed-facts.ts'
import { type ProvisionCalls, type ProvisionedHost, provisionHost } from './provision-host.ts'

/**
 * Gives a machine an engine that works: installs or repairs it, and records what the host is
 * then. Where nothing is to be done nothing is written, on the host or here.
 * Throws kind `usage` for a machine whose entry says that it has no engine.
 */
export async function provisionMachine(
  context: Context,
  machine: Machine,
  calls: ProvisionCalls,
  aims: EngineAims = {},
): Promise<ProvisionedHost> {
  const { name } = machine
  if (machine.engine === 'none') {
    throw new UserError('usage', `${name} has "engine: none" in its entry`, {
      machine: name,
      hint: 'to provision it, remove "engine: none" from its entry',
    })
  }
  const transport = await context.connect(machine)
  const target = { machine: name, transport, socket: machine.host?.socket, signal: context.signal }
  const provisioned = await provisionHost(target, machine.engine, calls, aims)
  const facts = observedFacts(provisioned.probe)
  await (
    await context.inventory()
  ).update(
    name,
    (entry) => entry && { ...entry, ...(entry.host && { host: { ...entry.host, ...facts } }) },
  )
  return provisioned
}
