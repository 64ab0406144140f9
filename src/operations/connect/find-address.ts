import type { Call } from '../../drivers/driver.ts'
import type { ReadyMachine, HostStatus } from '../../machine/machine.ts'
import type { Context } from '../context.ts'

/** The machine with its current address, and the state of its host. */
interface Found {
  readonly machine: ReadyMachine
  readonly state: HostStatus['state']
}

/** Looks up the current address of a host by its ID at the provider, and records the address if it has changed. */
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
