import type { MachineName } from '../../machine/name.ts'
import type { Context } from '../context.ts'
import { type RemoveCalls, removeMachine } from '../machine/remove-machine.ts'

/** Callbacks and options of {@link undoCreation}. */
export interface UndoCalls extends RemoveCalls {
  /** Whether to keep the entry, because it existed before the creation started. */
  readonly keepEntry: boolean
}

/**
 * Undoes an interrupted creation: removes the partly created host, and either its entry or only the record in the
 * entry. Does nothing for a machine that is ready or removed. Resolves to whether there was something to undo.
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
