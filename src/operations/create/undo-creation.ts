import type { MachineName } from '../../machine/name.ts'
import type { Context } from '../context.ts'
import { type RemoveCalls, removeMachine } from '../machine/remove-machine.ts'

/** Callbacks and options of {@link undoCreation}. */
export interface UndoCalls extends RemoveCalls {
  /** Whether to keep the entry, because it existed before the creation started. */
  readonly keepEntry: boolean
}

/**
 * Undoes an interrupted creation: removes the partly created host, and its entry or the record in the entry. A machine that is
 * ready or removed is not changed. Resolves to whether there was something to undo.
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
