import { UserError } from '../errors.ts'
import { isGlob, matchesGlob } from './glob.ts'
import type { Machine } from './machine.ts'
import { nearest } from './nearest-name.ts'
import { addMachineHint } from './unknown-name.ts'

/** The states of machines that a selector can contain, as printed by `fleet status`. */
export const machineStates = [
  'running',
  'no-engine',
  'unreachable',
  'not-created',
  'creating',
  'removing',
  'paused',
  'stopped',
  'starting',
  'stopping',
  'absent',
] as const

/** The current state of a machine. */
export type MachineState = (typeof machineStates)[number]

/** The properties of a machine that a selector uses. A host that is not a machine yet does not have a driver. */
type Selectable = Pick<Machine, 'name' | 'labels'> & Partial<Pick<Machine, 'driver'>>

interface Term {
  /** `name`, `driver`, `state`, `all` or a label's key. */
  readonly key: string
  readonly value: string
  /** Returns whether the term matches a machine; undefined if that depends on the state and the state is not known. */
  readonly matches: (machine: Selectable, state: MachineState | undefined) => boolean | undefined
}

/** The parsed values of `--on`: a machine must match at least one term in every group, and no excluded term. */
export interface Selector {
  readonly groups: readonly (readonly Term[])[]
  readonly excluded: readonly Term[]
}

const labelOf = (machine: Selectable, key: string): string | undefined =>
  machine.labels && Object.hasOwn(machine.labels, key) ? machine.labels[key] : undefined

function parseName(value: string): Term {
  if (value === 'all') return { key: 'all', value, matches: () => true }
  if (!isGlob(value)) return { key: 'name', value, matches: ({ name }) => name === value }
  return { key: 'name', value, matches: ({ name }) => matchesGlob(value, name) }
}

function parseState(value: string, takesState: boolean): Term {
  if (!takesState) {
    throw new UserError(
      'usage',
      `state=${value} cannot be used here, because states change over time`,
      {
        hint: 'select by name (web-1, web-*), label (role=web) or driver (driver=ssh)',
      },
    )
  }
  if (!machineStates.some((state) => state === value)) {
    const meant = nearest(value, [...machineStates])
    throw new UserError('usage', `unknown state ${JSON.stringify(value)}`, {
      hint:
        meant === undefined
          ? `the states are ${machineStates.join(', ')}`
          : `did you mean state=${meant}?`,
    })
  }
  return {
    ...{ key: 'state', value },
    matches: (_machine, state) => (state === undefined ? undefined : state === value),
  }
}

function parseTerm(typed: string, takesState: boolean): { excludes: boolean; term: Term } {
  const [, bang = '', text = ''] = /^(!?)(.*)$/s.exec(typed) ?? []
  const [, key, not = '', value = ''] = /^([^=]*?)(!?)=(.*)$/s.exec(text) ?? []
  const excludes = bang !== '' || not !== ''
  if (text === '' || key === '' || (bang !== '' && not !== '') || (excludes && text === 'all')) {
    throw new UserError('usage', `invalid selector ${JSON.stringify(typed)}`, {
      hint: 'select by name (web-1, web-*), label (role=web), driver (driver=ssh) or state (state=stopped), or use "all"; to exclude machines: !web-*, role!=web',
    })
  }
  if (key === undefined) return { excludes, term: parseName(text) }
  if (key === 'state') return { excludes, term: parseState(value, takesState) }
  if (key === 'driver') {
    return { excludes, term: { key, value, matches: ({ driver }) => driver === value } }
  }
  const matches: Term['matches'] = (machine) => labelOf(machine, key) === value
  return { excludes, term: { key, value, matches } }
}

/**
 * Parses the values of `--on`. Commas separate alternatives. Repeated values with the same key are alternatives too,
 * whereas values with different keys must all match. Names and globs count as the same key. Terms with `!` always
 * exclude machines, regardless of their position. Throws kind `usage` for an empty term, and for a state unless
 * `takesState` is set.
 */
export function parseSelector(
  texts: readonly string[],
  { takesState = false }: { readonly takesState?: boolean } = {},
): Selector {
  const groups = new Map<string, Term[]>()
  const excluded: Term[] = []
  for (const [index, text] of texts.entries()) {
    const parsed = text.split(',').map((term) => parseTerm(term.trim(), takesState))
    excluded.push(...parsed.filter(({ excludes }) => excludes).map(({ term }) => term))
    const terms = parsed.filter(({ excludes }) => !excludes).map(({ term }) => term)
    if (terms.length === 0) continue
    const keys = new Set(terms.map(({ key }) => key))
    const [only] = keys
    const group = keys.size === 1 && only !== undefined ? only : `#${index}`
    groups.set(group, [...(groups.get(group) ?? []), ...terms])
  }
  return { groups: [...groups.values()], excluded }
}

/** Whether a selector depends on the current state of machines. */
export const dependsOnState = ({ groups, excluded }: Selector): boolean =>
  [...groups.flat(), ...excluded].some(({ key }) => key === 'state')

/**
 * Returns the correction for a mistyped term: the nearest machine name, or a term with the nearest value or key.
 * Undefined if nothing is close.
 */
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

/** Returns a term as users type it. */
const typedTerm = ({ key, value }: Term, excludes: boolean): string =>
  key === 'name' || key === 'all'
    ? `${excludes ? '!' : ''}${value}`
    : `${key}${excludes ? '!' : ''}=${value}`

function nothingMatches(
  machines: readonly Machine[],
  terms: readonly Term[],
  excluded: readonly Term[] = [],
): UserError {
  const texts = [
    ...terms.map((term) => typedTerm(term, false)),
    ...excluded.map((term) => typedTerm(term, true)),
  ]
  const meant = terms
    .filter((term) => !machines.some((machine) => term.matches(machine, undefined) !== false))
    .map((term) => nearestTerm(machines, term))
    .find((text) => text !== undefined)
  const [only] = terms
  const message =
    terms.length === 1 && texts.length === 1 && only?.key === 'name' && !isGlob(only.value)
      ? `there is no machine called ${JSON.stringify(only.value)}`
      : `no machine matches ${texts.join(', ')}`
  if (machines.length === 0) {
    return new UserError('unknown-machine', `${message}: the inventory is empty`, {
      hint: addMachineHint,
    })
  }
  return new UserError(
    'unknown-machine',
    meant === undefined ? message : `${message} (did you mean ${meant}?)`,
    { hint: 'to list the machines: fleet ls' },
  )
}

/** Whether a selector matches a machine, or may match it if the machine's state is not known. */
export const selects = (
  { groups, excluded }: Selector,
  machine: Selectable,
  state?: MachineState,
): boolean =>
  groups.every((group) => group.some((term) => term.matches(machine, state) !== false)) &&
  !excluded.some((term) => term.matches(machine, state) === true)

/**
 * Returns the machines that a selector matches, in the given order. `states` is required if the selector depends on
 * states. Throws kind `unknown-machine` if there are no such machines, or if a plain name does not exist even though
 * other terms match: a mistyped name must not be ignored.
 */
export function select<Selected extends Machine>(
  machines: Iterable<Selected>,
  selector: Selector,
  states: ReadonlyMap<string, MachineState> = new Map(),
): readonly Selected[] {
  const all = [...machines]
  const terms = selector.groups.flat()
  const names = new Set<string>(all.map(({ name }) => name))
  const unknown = [...terms, ...selector.excluded].find(
    ({ key, value }) => key === 'name' && !isGlob(value) && !names.has(value),
  )
  if (unknown) throw nothingMatches(all, [unknown])
  const selected = all.filter((machine) => selects(selector, machine, states.get(machine.name)))
  if (selected.length === 0) throw nothingMatches(all, terms, selector.excluded)
  return selected
}
