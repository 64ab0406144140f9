import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { createMachine } from './create-machine.ts'
import { grantsOfChange, requireAllowed } from '../inventory/grants.ts'
import { type RemoveCalls, removeCreatedHost } from '../machine/remove-machine.ts'
import type { HostKeyTrust } from '../trust/trust-host-key.ts'

/**
 * Removes the host of a machine and creates a new one from its entry, under the same name. If it is interrupted during
 * the removal, the record contains `replacing`; if it is interrupted later, the entry has no host, like the entry of a
 * machine that was never created. Throws kind `failed` for a host that fleet did not create, and for a protected
 * machine.
 */
export async function replaceMachine(
  context: Context,
  machine: Machine,
  calls: Pick<RemoveCalls, 'progress' | 'signal'> & { readonly trust: HostKeyTrust },
): Promise<void> {
  const { name } = machine
  const { lifecycle } = await context.loadDriver(machine.driver)
  const { token } = machine.host ?? {}
  if (lifecycle === undefined || token === undefined || machine.protected) {
    const why = machine.protected ? 'the machine is protected' : 'fleet did not create its host'
    throw new UserError('failed', `cannot replace ${name}: ${why}`, { machine: name })
  }
  const inventory = await (await context.inventory()).read()
  const grants = await grantsOfChange(context, inventory, machine, { action: 'replace' })
  requireAllowed(grants, 'fleet apply')
  await removeCreatedHost(context, { name, token, lifecycle }, calls, {
    replacing: true,
    async forget() {
      const store = await context.inventory()
      await store.update(name, (entry) => {
        if (entry?.host?.token !== token) return entry
        const { host: _gone, ...wanted } = entry
        return wanted
      })
      await context.creations().drop(token)
    },
  })
  const { progress, trust } = calls
  await createMachine(context, { name, trust }, { progress, approve: async () => true })
}
