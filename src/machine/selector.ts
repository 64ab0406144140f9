import { UserError } from '../errors.ts'
import { isGlob, matchesGlob } from './glob.ts'
import type { Machine } from './machine.ts'
import { nearest } from './nearest.ts'

interface Term {
  /** `name`, `driver`, `all` or a label's key. */
  readonly key: string
  readonly value: string
  readonly matches: (machine: Machine) => boolean
}

/** A parsed `--on`: a machine must satisfy at least one term of every group. */
export interface Selector {
  readonly groups: readonly (readonly Term[])[]
}

const labelOf = (machine: Machine, key: string): string | undefined =>
  machine.labels && Object.hasOwn(machine.labels, key) ? machine.labels[key] : undefined

function parseName(value: string): Term {
  if (value === 'all') return { key: 'all', value, matches: () => true }
  if (!isGlob(value)) return { key: 'name', value, matches: ({ name }) => name === value }
  return { key: 'name', value, matches: ({ name }) => matchesGlob(value, name) }
}

function parseTerm(text: string): Term {
  const equals = text.indexOf('=')
  if (text === '' || equals === 0) {
    throw new UserError('usage', `invalid selector ${JSON.stringify(text)}`, {
      hint: 'select by name (web-1, web-*), label (role=web) or driver (driver=ssh), or use "all"',
    })
  }
  if (equals < 0) return parseName(text)
  const key = text.slice(0, equals)
  const value = text.slice(equals + 1)
  if (key === 'driver') return { key, value, matches: ({ driver }) => driver === value }
  return { key, value, matches: (machine) => labelOf(machine, key) === value }
}

/**
 * Parses the values of `--on`. Commas separate alternatives. Repeated values with the same key are alternatives too;
 * values with different keys must all match. Names and globs share one key. Throws kind `usage` for an empty term.
 */
export function parseSelector(texts: readonly string[]): Selector {
  const groups = new Map<string, Term[]>()
  for (const [index, text] of texts.entries()) {
    const terms = text.split(',').map((term) => parseTerm(term.trim()))
    const keys = new Set(terms.map(({ key }) => key))
    const [only] = keys
    const group = keys.size === 1 && only !== undefined ? only : `#${index}`
    groups.set(group, [...(groups.get(group) ?? []), ...terms])
  }
  return { groups: [...groups.values()] }
}

/** The correction for a mistyped term: the nearest machine name, or the nearest value or key. */
function nearestTerm(machines: readonly Machine[], { key, value }: Term): string | undefined {
  if (key === 'name') {
    return nearest(
      value,
      machines.map(({ name }) => name),
    )
  }
  const valuesOf = (key: string): string[] =>
    machines.flatMap((machine) =>
      key === 'driver' ? [machine.driver] : (labelOf(machine, key) ?? []),
    )
  const meant = nearest(value, valuesOf(key))
  if (meant !== undefined) return `${key}=${meant}`
  const keys = ['driver', ...machines.flatMap(({ labels = {} }) => Object.keys(labels))]
  const meantKey = nearest(key, keys)
  if (meantKey === undefined || meantKey === key) return undefined
  return valuesOf(meantKey).includes(value) ? `${meantKey}=${value}` : undefined
}

function nothingMatches(machines: readonly Machine[], terms: readonly Term[]): UserError {
  const texts = terms.map(({ key, value }) =>
    key === 'name' || key === 'all' ? value : `${key}=${value}`,
  )
  const meant = terms
    .filter((term) => !machines.some(term.matches))
    .map((term) => nearestTerm(machines, term))
    .find((text) => text !== undefined)
  const [only] = terms
  const message =
    terms.length === 1 && only?.key === 'name' && !isGlob(only.value)
      ? `there is no machine ${JSON.stringify(only.value)}`
      : `no machine matches ${texts.join(', ')}`
  if (machines.length === 0) {
    return new UserError('unknown-machine', `${message}: the inventory is empty`, {
      hint: 'create a machine with fleet create, or add an existing host with fleet adopt',
    })
  }
  return new UserError(
    'unknown-machine',
    meant === undefined ? message : `${message} (did you mean ${meant}?)`,
    { hint: 'to list the machines: fleet ls' },
  )
}

/** Whether a selector matches a machine. */
export const selects = ({ groups }: Selector, machine: Machine): boolean =>
  groups.every((group) => group.some((term) => term.matches(machine)))

/**
 * The machines that a selector matches, in the given order.
 * Throws kind `unknown-machine` if there are none, and for a plain name that does not exist even if other terms match:
 * a mistyped name must not be ignored.
 */
export function select<Selected extends Machine>(
  machines: Iterable<Selected>,
  selector: Selector,
): readonly Selected[] {
  const all = [...machines]
  const terms = selector.groups.flat()
  const names = new Set<string>(all.map(({ name }) => name))
  const unknown = terms.find(
    ({ key, value }) => key === 'name' && !isGlob(value) && !names.has(value),
  )
  if (unknown) throw nothingMatches(all, [unknown])
  const selected = all.filter((machine) => selects(selector, machine))
  if (selected.length === 0) throw nothingMatches(all, terms)
  return selected
}
