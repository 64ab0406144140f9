import { UserError } from '../../errors.ts'
import type { HostRecord, MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Context } from '../context.ts'

/** The error when the host with this token no longer belongs to the machine. */
const replacedMeanwhile = (name: MachineName): UserError =>
  new UserError('failed', `the entry for ${name} was replaced or removed by another command`, {
    machine: name,
    hint: 'restore the entry from git, or look for unmanaged hosts: fleet gc',
  })

/**
 * Updates the record of the host with `token`. The change is durable when the promise resolves. Throws kind `failed`
 * when the entry now has another host, since facts about one host must not be written to the record of another.
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
