import type { Filters } from '../../engine/containers.ts'
import { UserError } from '../../errors.ts'
import { texts } from '../command.ts'

/** `--filter`, as in docker. */
export const filterOption = texts(
  '-f, --filter <filter>',
  'show only items that match key=value (repeatable)',
)

/** Parses `key=value` words into the `filters` of the Engine API. Throws kind `usage` for an invalid filter. */
export function parseFilters(words: readonly string[]): Filters {
  const filters = new Map<string, string[]>()
  for (const word of words) {
    const [, name = '', value] = /^([^=]+)=(.*)$/s.exec(word) ?? []
    const key = name.trim().toLowerCase()
    if (key === '' || value === undefined) {
      throw new UserError('usage', `${JSON.stringify(word)} is not a valid filter: use key=value`)
    }
    filters.set(key, [...(filters.get(key) ?? []), value])
  }
  return Object.fromEntries(filters)
}
