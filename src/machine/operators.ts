import type { Machine } from './machine.ts'
import type { OperatorEntry } from './schema.ts'
import { parseSelector, selects } from './selector.ts'

/** The keys that machines let in, by the name of who holds them. */
export type Operators = ReadonlyMap<string, OperatorEntry>

/** An operator's public key without its comment, `TYPE BASE64`. */
export const operatorKey = (entry: OperatorEntry): string =>
  (typeof entry === 'string' ? entry : entry.key).split(' ').slice(0, 2).join(' ')

/** Whether an operator is let in on a machine. */
const letsIn = (entry: OperatorEntry, machine: Machine): boolean =>
  typeof entry === 'string' || selects(parseSelector(entry.on), machine)

/** The keys that a machine is to let in, each once, by the operator's name in the order of the file. */
export function operatorKeysOf(
  operators: Operators,
  machine: Machine,
): ReadonlyMap<string, string> {
  const keys = new Map<string, string>()
  const known = new Set<string>()
  for (const [name, entry] of operators) {
    const key = operatorKey(entry)
    if (known.has(key) || !letsIn(entry, machine)) continue
    known.add(key)
    keys.set(name, key)
  }
  return keys
}
