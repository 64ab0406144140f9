import { UserError } from '../../errors.ts'
import type { HostRecord, MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Context } from '../context.ts'

/** The host that `token` names is the machine's no more. */
const replacedMeanwhile = (name: MachineName): UserError =>
  new UserError('failed', `the entry of ${name} was replaced or removed by another command`, {
    machine: name,
    hint: 'restore the entry from git, or find hosts without an entry: fleet gc',
  })

/**
 * Changes what is remembered of the host that `token` names. Durable once resolved. Throws kind `failed` when the
 * entry is another host's by now: what one host has must not be written to another one's record.
 */
export async function updateRecord(
  context: Context,
  name: MachineName,
  token: string,
  change: (host: HostRecord, entry: MachineEntry) => HostRecord,
): Promise<HostRecord> {
  const store = await context.inventory()
  let changed: HostRecord | undefined
  await store.update(name, (entry) => {
    if (entry?.host?.token !== token) throw replacedMeanwhile(name)
    changed = change(entry.host, entry)
    return { ...entry, host: changed }
  })
  if (changed === undefined) throw replacedMeanwhile(name)
  return changed
}
