import type { MachineEntry } from '../../machine/machine.ts'
import type { OperatorEntry, ProfileEntry, SwarmEntry } from '../../machine/schema.ts'
import type { InventoryStore } from '../../state/inventory/inventory.ts'
import type { TextEdit } from '../../state/inventory/file-inventory.ts'
import type { Context } from '../context.ts'
import type { Change, InventoryChanges } from './describe-changes.ts'

/** An inventory whose changes are recorded, so that they can be committed to git. */
export interface AuditedInventory {
  readonly store: InventoryStore
  /**
   * Commits the changes of this command if the inventory has `audit: git`; never pushes. Other changes to the file,
   * made by another command or by hand, are not committed. Resolves to the reason if the commit failed; the changes
   * themselves are kept in that case.
   */
  commit(verb: string): Promise<string | undefined>
}

/** Creates functions that record the first and the last state of an item, after its changes have been written. */
function noteIn<Value>(changes: Map<string, Change<Value>>, name: string) {
  let last: Change<Value> | undefined
  return {
    /** Wraps a change function, which may be called again with a newer state. */
    watch<Rest extends unknown[]>(
      change: (before: Value | undefined, ...rest: Rest) => Value | undefined,
    ) {
      return (before: Value | undefined, ...rest: Rest): Value | undefined => {
        const kept = structuredClone(before)
        const after = change(before, ...rest)
        last = { before: kept, after }
        return after
      }
    },
    keep: (): void => {
      if (last === undefined) return
      const { before } = changes.get(name) ?? last
      changes.set(name, { before, after: last.after })
    },
  }
}

/** Records the changes that are written through a store. `edits` contains the written texts, in order. */
export function auditInventory(
  store: InventoryStore,
  edits: readonly TextEdit[],
  env: Context['env'],
): AuditedInventory {
  const renamed: [string, string][] = []
  const changes = {
    renamed,
    entries: new Map<string, Change<MachineEntry>>(),
    profiles: new Map<string, Change<ProfileEntry>>(),
    operators: new Map<string, Change<OperatorEntry>>(),
    swarms: new Map<string, Change<SwarmEntry>>(),
  } satisfies InventoryChanges
  const watched: InventoryStore = {
    ...store,
    async update(name, change) {
      const noted = noteIn(changes.entries, name)
      await store.update(name, noted.watch(change))
      noted.keep()
    },
    async updateAll(names, change) {
      const noted = new Map(names.map((name) => [name, noteIn(changes.entries, name)]))
      await store.updateAll(names, (name, newest) => {
        const before = newest.entries.get(name)
        const watch = noted.get(name)?.watch(() => change(name, newest))
        return watch === undefined ? change(name, newest) : watch(before)
      })
      for (const { keep } of noted.values()) keep()
    },
    async updateProfile(name, change) {
      const noted = noteIn(changes.profiles, name)
      await store.updateProfile(name, noted.watch(change))
      noted.keep()
    },
    async updateOperator(name, change) {
      const noted = noteIn(changes.operators, name)
      await store.updateOperator(name, noted.watch(change))
      noted.keep()
    },
    async updateSwarm(name, change) {
      const noted = noteIn(changes.swarms, name)
      await store.updateSwarm(name, noted.watch(change))
      noted.keep()
    },
    async rename(from, to) {
      await store.rename(from, to)
      renamed.push([from, to])
    },
  }
  return {
    store: watched,
    async commit(verb) {
      if (edits.length === 0) return undefined
      try {
        if ((await store.read()).audit !== 'git') return undefined
        const { commitEdits } = await import('./commit-file.ts') // imported here because few commands commit
        const { describeChanges } = await import('./describe-changes.ts')
        return await commitEdits(store.location, edits, describeChanges(changes, verb), env)
      } catch (error) {
        return error instanceof Error ? error.message : String(error)
      }
    },
  }
}
