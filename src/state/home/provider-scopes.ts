import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { preparePrivateFolder } from './home.ts'
import { replaceFile } from '../../os/replace-file.ts'
import { traceError } from '../../os/trace.ts'

/**
 * A part of a provider in which hosts can exist: a driver, and the options that locate hosts
 * (region, profile, subscription).
 */
export interface ProviderScope {
  readonly driver: string
  readonly options: Readonly<Record<string, unknown>>
}

/**
 * The scopes in which this user has ever had hosts of an inventory, including scopes that no entry
 * refers to any longer. Stored in home.
 */
export interface ProviderScopes {
  /** Returns the scopes of the inventory with this id, oldest first. */
  read(inventory: string): Promise<readonly ProviderScope[]>
  /** Adds a scope. Durable once it resolves. */
  remember(inventory: string, scope: ProviderScope): Promise<void>
}

/** Keys of a record's resources that locate a host, and that are also names of options. */
const locationKeys = ['region', 'profile', 'subscription', 'tenant', 'cloud'] as const

/** Returns the scope of a host. Its record takes precedence over its options, which may have changed. */
export const scopeOf = (
  driver: string,
  options: ProviderScope['options'] = {},
  resources: Readonly<Record<string, string>> = {},
): ProviderScope => ({
  driver,
  options: {
    ...options,
    ...Object.fromEntries(
      locationKeys.flatMap((key) => (resources[key] ? [[key, resources[key]]] : [])),
    ),
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

/** Maximum number of scopes of an inventory; the oldest are dropped. */
const maxScopes = 500

/** Removes duplicates, keeping the last of each. */
export function uniqueScopes(scopes: readonly ProviderScope[]): readonly ProviderScope[] {
  const unique = new Map<string, ProviderScope>()
  for (const scope of scopes) {
    const options = Object.entries(scope.options).toSorted(([a], [b]) => a.localeCompare(b))
    const key = JSON.stringify([scope.driver, options])
    unique.delete(key)
    unique.set(key, scope)
  }
  return [...unique.values()].slice(-maxScopes)
}

/** Opens the files in `home`, one per inventory. */
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
      const { withLock } = await import('../../os/lock.ts') // not needed by most commands
      await withLock(join(folder, 'write'), async () => {
        const merged = uniqueScopes([...(await read(inventory)), scope])
        await replaceFile(fileOf(inventory), `${JSON.stringify(merged)}\n`, { mode: 0o600 })
      })
    },
  }
}
