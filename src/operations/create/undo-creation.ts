import type { MachineName } from '../../machine/name.ts'
import type { Context } from '../context.ts'
import { type RemoveCalls, removeMachine } from '../machine/remove-machine.ts'

/** What undoing tells, and what it leaves. */
export interface UndoCalls extends RemoveCalls {
  /** The entry was there before the creation began: what the person wrote stays. */
  readonly keepEntry: boolean
}

/**
 * Undoes a creation that was cut short: what was made of the host goes, and its entry or the record in it. A machine that is
 * ready, or gone, is left alone. Resolves to whether there was something to undo.
 */
export async function undoCreation(
  context: Context,
  name: MachineName,
  calls: UndoCalls,
): Promise<boolean> {
  const store = await context.inventory()
  const { machines, entries } = await store.read()
  const machine = machines.get(name)
  if (machine?.host?.phase !== 'creating') return false
  await removeMachine(context, machine, calls)
  const { host: _host, ...written } = entries.get(name) ?? {}
  if (calls.keepEntry) await store.update(name, (entry) => entry ?? written)
  return true
}
