import type { HostFacts } from '../../drivers/driver.ts'
import type { Machine } from '../../machine/machine.ts'
import { type AdoptOptions, connectAndProbe } from './connect-and-probe.ts'
import type { Context } from '../context.ts'
import { type EntryRequest, checkNotDuplicate, newEntry } from '../create/new-entry.ts'
import type { ProvisionCalls } from '../provision/provision-host.ts'
import type { ProbedMachine } from './bootstrap-host.ts'

/**
 * Adopts an existing host at the address in `facts`: pins its host key, inspects it, and writes the entry if all of
 * this succeeds.
 */
export async function adoptHost(
  context: Context,
  machine: Machine,
  facts: HostFacts,
  request: EntryRequest & AdoptOptions,
  calls: ProvisionCalls,
): Promise<ProbedMachine> {
  const { name, via } = machine
  const store = await context.inventory()
  // Behind a ProxyCommand, which may connect to a private network, the same address can mean a different host.
  const sshAlias = request.ssh?.proxyCommand === undefined ? undefined : request.sshAlias
  const identity = { ...facts, ...(sshAlias !== undefined && { sshAlias }) }
  checkNotDuplicate(await store.read(), name, via, identity)
  const { host, probe } = await connectAndProbe(context, machine, facts, request, calls)
  await store.update(name, (_entry, newest) => {
    checkNotDuplicate(newest, name, via, identity)
    return { ...newEntry(request, newest), host }
  })
  return { machine: { ...machine, host }, probe }
}
