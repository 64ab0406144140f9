import type { Call } from '../../drivers/driver.ts'
import type { ReadyMachine } from '../../machine/machine.ts'
import type { HostStatus } from '../../machine/status.ts'
import type { Context } from '../context.ts'

/** What the provider said of a machine's host, and the machine with the address that it has now. */
interface Found {
  readonly machine: ReadyMachine
  readonly state: HostStatus['state']
}

/** An address is a fact to look up again by id: asks the provider for it, and records another one. */
export async function findAddress(
  context: Context,
  machine: ReadyMachine,
  call: Call,
): Promise<Found> {
  const { name, host } = machine
  const driver = await context.loadDriver(machine.driver)
  const { state, address = host.address } = (
    await driver.observe(new Map([[name, host]]), call)
  ).get(name) ?? { state: 'unknown' as const }
  if (address === undefined || address === host.address) return { machine, state }
  const moved = { ...host, address }
  await (
    await context.inventory()
  ).update(name, (entry) =>
    entry?.host?.id === host.id && entry?.host
      ? { ...entry, host: { ...entry.host, address } }
      : entry,
  )
  return { machine: { ...machine, host: moved }, state }
}
