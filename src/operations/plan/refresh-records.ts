import type { MachineName } from '../../machine/name.ts'
import type { Drift } from './change-plan.ts'
import type { Context } from '../context.ts'

/**
 * Updates the records with the drift that was found. A record that has changed since the comparison is not updated, and an
 * engine that is not running is not recorded. Returns the drift that was written.
 */
export async function refreshRecords(
  context: Context,
  drift: readonly Drift[],
): Promise<readonly Drift[]> {
  const store = await context.inventory()
  const written: Drift[] = []
  const told = drift.filter(({ seen }) => seen !== 'none answers')
  for (const name of new Set(told.map(({ machine }) => machine))) {
    const drifts = told.filter(({ machine }) => machine === name)
    await store.update(name as MachineName, (entry) => {
      const { host } = entry ?? {}
      if (entry === undefined || host === undefined) return entry
      const now = drifts.filter(({ field, expected }) => host[field] === expected)
      written.push(...now)
      const facts = Object.fromEntries(now.map(({ field, seen }) => [field, seen]))
      return { ...entry, host: { ...host, ...facts } }
    })
  }
  return written
}
