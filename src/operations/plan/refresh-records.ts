import type { MachineName } from '../../machine/name.ts'
import type { Drift } from './change-plan.ts'
import type { Context } from '../context.ts'

/**
 * Updates the records with the drift that was found. Skips records that have changed since the comparison, and engines
 * that are not running. Returns the drift that was written.
 */
export async function refreshRecords(
  context: Context,
  drift: readonly Drift[],
): Promise<readonly Drift[]> {
  const store = await context.inventory()
  const written: Drift[] = []
  const recordable = drift.filter(({ actual }) => actual !== undefined)
  for (const name of new Set(recordable.map(({ machine }) => machine))) {
    const drifts = recordable.filter(({ machine }) => machine === name)
    await store.update(name as MachineName, (entry) => {
      const { host } = entry ?? {}
      if (entry === undefined || host === undefined) return entry
      const now = drifts.filter(({ field, expected }) => host[field] === expected)
      written.push(...now)
      const facts = Object.fromEntries(now.map(({ field, actual }) => [field, actual]))
      return { ...entry, host: { ...host, ...facts } }
    })
  }
  return written
}
