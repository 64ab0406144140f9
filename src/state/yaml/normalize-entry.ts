import type { z } from 'zod'
import { UserError } from '../../errors.ts'
import type { Machine, MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import { hostRecord, machineEntry } from '../../machine/schema.ts'
import { findHiddenIn } from '../../machine/hidden-characters.ts'
import { findSecrets } from '../../machine/secrets/find-secrets.ts'
import { describeExpected } from '../inventory/check/describe-expected.ts'
import { describeHidden } from '../inventory/check/problem.ts'
import { type Inventory, checkExtends } from '../inventory/inventory.ts'
import type { OptionsOf } from '../inventory/parse-inventory.ts'

/** Removes undefined values, and moves the keys in `order` to the front. */
function normalize(value: unknown, order: readonly string[] = []): unknown {
  if (Array.isArray(value)) return value.map((item) => normalize(item))
  if (typeof value !== 'object' || value === null) return value
  const rank = (key: string): number => (order.includes(key) ? order.indexOf(key) : order.length)
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .sort(([a], [b]) => rank(a) - rank(b))
      .map(([key, item]) => [
        key,
        normalize(item, key === 'host' ? Object.keys(hostRecord.shape) : []),
      ]),
  )
}

function check(schema: z.ZodType, value: unknown, name: MachineName, ...at: string[]): void {
  const issue = schema.safeParse(value).error?.issues[0]
  if (!issue) return
  const place = [name, ...at, ...issue.path].map(String).join('.')
  throw new UserError('usage', `${place}: expected ${describeExpected(issue)}`, { machine: name })
}

/** Throws kind `usage` for a hidden character in a key or value: such a file could not be read back. */
export function checkHidden(value: unknown, name: string): void {
  const found = findHiddenIn(value, [name])
  if (found === undefined) return
  throw new UserError(
    'usage',
    `${found.path.map(String).join('.')}: ${describeHidden(found.character)}`,
    { hint: 'remove the character' },
  )
}

/**
 * Normalizes an entry before it is written: puts keys in the order of the schema, and removes undefined values. Throws
 * kind `usage` if the entry does not match the schema or contains a secret, because it could not be read back.
 */
export function normalizeEntry(name: MachineName, entry: MachineEntry): MachineEntry {
  const normalized = normalize(entry, Object.keys(machineEntry.shape)) as MachineEntry
  check(machineEntry, normalized, name)
  checkHidden(normalized, name)
  const text = JSON.stringify(normalized)
  if (text.includes('"__proto__":')) throw new UserError('usage', '__proto__ cannot be a key')
  const [secret] = findSecrets(text)
  if (!secret) return normalized
  throw new UserError('usage', `${secret.kind} must not be written to the inventory`, {
    machine: name,
    hint: 'the inventory is shared through git; keep secrets in a key file or the environment',
  })
}

/**
 * Validates a machine with its profiles and defaults. Throws kind `usage` if it has no driver or
 * invalid options.
 */
export function checkMachine(
  { name, driver, extends: extended, options: own }: Machine,
  inventory: Pick<Inventory, 'defaults' | 'profiles'>,
  optionsOf: OptionsOf,
): void {
  checkExtends(inventory, name, extended)
  if (driver === '') throw new UserError('usage', `${name} has no driver`, { machine: name })
  const inherited = new Map(Object.entries(inventory.defaults)).get(driver)
  const options = optionsOf(driver)
  if (options) check(options, { ...inherited, ...own }, name, 'options')
}
