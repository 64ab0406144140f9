import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { preparePrivateFolder } from './home.ts'
import { replaceFile } from './replace-file.ts'
import { traceError } from '../../os/trace.ts'

/** Where hosts of an inventory may be: a driver, and its options that say where (region, profile, subscription). */
export interface ProviderScope {
  readonly driver: string
  readonly options: Readonly<Record<string, unknown>>
}

/** Where this person ever made or had hosts of an inventory, kept in home: also where no entry leads to any more. */
export interface ProviderScopes {
  /** Of the inventory with this id. */
  read(inventory: string): Promise<readonly ProviderScope[]>
  /** Durable once resolved. */
  remember(inventory: string, scope: ProviderScope): Promise<void>
}

/** A driver's notes on a host that say where it is, and are called as its options are. */
const placeNotes = ['region', 'profile', 'subscription', 'tenant', 'cloud'] as const

/** Where a host is: what its record says counts more than what its options have become. */
export const scopeOf = (
  driver: string,
  options: ProviderScope['options'] = {},
  notes: Readonly<Record<string, string>> = {},
): ProviderScope => ({
  driver,
  options: {
    ...options,
    ...Object.fromEntries(placeNotes.flatMap((key) => (notes[key] ? [[key, notes[key]]] : []))),
  },
})

const isScope = (value: unknown): value is ProviderScope =>
  typeof value === 'object' &&
  value !== null &&
  'driver' in value &&
  typeof value.driver === 'string' &&
  'options' in value &&
  typeof value.options === 'object' &&
  value.options !== null

/** Of one inventory, the newest. */
const mostScopes = 500

/** The scopes, each once, in the order of the last of each. */
export function uniqueScopes(scopes: readonly ProviderScope[]): readonly ProviderScope[] {
  const unique = new Map<string, ProviderScope>()
  for (const scope of scopes) {
    const options = Object.entries(scope.options).toSorted(([a], [b]) => a.localeCompare(b))
    const key = JSON.stringify([scope.driver, options])
    unique.delete(key)
    unique.set(key, scope)
  }
  return [...unique.values()].slice(-mostScopes)
}

/** Keeps them in a file of `home` for each inventory. */
export function openProviderScopes(home: string): ProviderScopes {
  const folder = join(home, 'scopes')
  const fileOf = (inventory: string): string =>
    join(folder, `${createHash('sha256').update(inventory).digest('hex').slice(0, 32)}.json`)
  const read = async (inventory: string): Promise<readonly ProviderScope[]> => {
    try {
      const scopes: unknown = JSON.parse(await readFile(fileOf(inventory), 'utf8'))
      return Array.isArray(scopes) ? scopes.filter(isScope) : []
    } catch (error) {
      traceError('state', 'read the provider scopes', error)
      return []
    }
  }
  return {
    read,
    async remember(inventory, scope) {
      const known = await read(inventory)
      if (uniqueScopes([...known, scope]).length === known.length) return
      await preparePrivateFolder(home)
      await preparePrivateFolder(folder)
      const { withLock } = await import('../../os/lock.ts') // most commands do without its package
      await withLock(join(folder, 'write'), async () => {
        const merged = uniqueScopes([...(await read(inventory)), scope])
        await replaceFile(fileOf(inventory), `${JSON.stringify(merged)}\n`, { mode: 0o600 })
      })
    },
  }
}
