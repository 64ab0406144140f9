import type { Fleet } from '../../app/fleet.ts'
import { isBuiltIn } from '../../drivers/driver-names.ts'
import type { Io } from '../../ui/io.ts'

/** Warns about drivers in the inventory that are not trusted. The options of such drivers are not checked. */
export async function warnUntrusted(fleet: Fleet, io: Io): Promise<void> {
  const inventory = await (await fleet.inventory()).read()
  if ([...inventory.machines.values()].every(({ driver }) => isBuiltIn(driver))) return
  const { findUntrusted } = await import('../../operations/trust/trust-driver.ts')
  const { trustCommand } = await import('../../operations/trust/check-driver-trust.ts')
  for (const name of await findUntrusted(fleet, inventory)) {
    io.stderr.write(
      `options for the ${name} driver are not checked, because you have not trusted its package; to trust it: ${trustCommand(name, fleet)}\n`,
    )
  }
}
