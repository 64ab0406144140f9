import { isDeepStrictEqual } from 'node:util'
import type { Inventory, InventoryStore } from '../state/inventory.ts'
import type { Context } from './context.ts'

/** An inventory whose changes are told of. */
export interface AuditedInventory {
  readonly store: InventoryStore
  /**
   * Commits the inventory alone where it says `audit: git` and was written to; never pushes. Resolves to why that
   * could not be, if so: what was done stays done.
   */
  commit(verb: string): Promise<string | undefined>
}

/** `add web-1, web-2; remove db-1` */
function describeChanges(before: Inventory, after: Inventory): string {
  const names = [...new Set([...before.entries.keys(), ...after.entries.keys()])]
  const parts = {
    add: names.filter((name) => !before.entries.has(name)),
    change: names.filter((name) => {
      const [was, is] = [before.entries.get(name), after.entries.get(name)]
      return was !== undefined && is !== undefined && !isDeepStrictEqual(was, is)
    }),
    remove: names.filter((name) => !after.entries.has(name)),
  }
  const said = Object.entries(parts)
    .filter(([, changed]) => changed.length > 0)
    .map(([what, changed]) => `${what} ${changed.join(', ')}`)
  return said.length > 0 ? said.join('; ') : 'change the inventory'
}

/** Watches what is written to an inventory. Every part of a store but `read` and its place writes. */
export function auditInventory(store: InventoryStore, env: Context['env']): AuditedInventory {
  let before: Promise<Inventory> | undefined
  const noting =
    (write: (...args: unknown[]) => Promise<unknown>) =>
    async (...args: unknown[]): Promise<unknown> => {
      before ??= store.read()
      await before.catch(() => undefined)
      return write(...args)
    }
  const watched = Object.fromEntries(
    Object.entries(store).map(([key, part]: [string, unknown]) => [
      key,
      typeof part === 'function' && key !== 'read'
        ? noting(part as (...args: unknown[]) => Promise<unknown>)
        : part,
    ]),
  )
  return {
    store: watched as unknown as InventoryStore,
    async commit(verb) {
      if (before === undefined) return undefined
      try {
        const [was, is] = [await before, await store.read()]
        if (is.audit !== 'git' || isDeepStrictEqual(was, is)) return undefined
        const { commitFile } = await import('./commit-file.ts') // few commands write, and few of these commit
        return await commitFile(store.location, `fleet ${verb}: ${describeChanges(was, is)}`, env)
      } catch (error) {
        return error instanceof Error ? error.message : String(error)
      }
    },
  }
}
