import type { Machine } from './machine.ts'
import type { OperatorEntry } from './schema.ts'
import { parseSelector, selects } from './selector.ts'

/** The entries of the operators, keyed by operator name. */
export type Operators = ReadonlyMap<string, OperatorEntry>

/** Returns an operator's public key without its comment: `TYPE BASE64`. */
export const operatorKey = (entry: OperatorEntry): string =>
  (typeof entry === 'string' ? entry : entry.key).split(' ').slice(0, 2).join(' ')

/** Whether an operator may log in to a machine. */
const isAuthorized = (entry: OperatorEntry, machine: Machine): boolean =>
  typeof entry === 'string' || selects(parseSelector(entry.on), machine)

/** Returns the keys to authorize on a machine, keyed by operator name, without duplicates, in the order of the file. */
export function operatorKeysOf(
  operators: Operators,
  machine: Machine,
): ReadonlyMap<string, string> {
  const keys = new Map<string, string>()
  const known = new Set<string>()
  for (const [name, entry] of operators) {
    const key = operatorKey(entry)
    if (known.has(key) || !isAuthorized(entry, machine)) continue
    known.add(key)
    keys.set(name, key)
  }
  return keys
}
