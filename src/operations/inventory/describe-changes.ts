import { isDeepStrictEqual } from 'node:util'
import type { MachineEntry } from '../../machine/machine.ts'
import type { OperatorEntry, ProfileEntry, SwarmEntry } from '../../machine/schema.ts'

/** The state of an item before and after a command. */
export interface Change<Value> {
  readonly before: Value | undefined
  readonly after: Value | undefined
}

/** The changes that one command made to an inventory, keyed by name. */
export interface InventoryChanges {
  readonly entries: ReadonlyMap<string, Change<MachineEntry>>
  readonly profiles: ReadonlyMap<string, Change<ProfileEntry>>
  readonly operators: ReadonlyMap<string, Change<OperatorEntry>>
  readonly swarms: ReadonlyMap<string, Change<SwarmEntry>>
  /** The old and the new name of each renamed machine. */
  readonly renamed: readonly (readonly [string, string])[]
}

/**
 * Limits in characters. Longer values are truncated; if the subject would be longer, the changes are listed in the
 * body.
 */
const longest = { value: 40, subject: 72 } as const

/** Whether a key is a field of an entry, rather than the record of its host. */
const isField = (key: string): boolean => key !== 'host'

/** The fields of an entry, keyed by the names that `fleet set` uses. */
function fieldsOf(entry: MachineEntry | ProfileEntry): ReadonlyMap<string, unknown> {
  const { options = {}, labels = {}, engine, ...fields } = entry
  return new Map<string, unknown>([
    ...Object.entries(fields).filter(([key]) => isField(key)),
    ...(engine === undefined ? [] : [['engine', engineText(engine)] as const]),
    ...Object.entries(options),
    ...Object.entries(labels).map(([key, value]) => [`label.${key}`, value] as const),
  ])
}

const engineText = (engine: NonNullable<MachineEntry['engine']>): string =>
  typeof engine === 'string' ? engine : (engine.version ?? engine.channel ?? JSON.stringify(engine))

function valueText(value: unknown): string {
  const text = typeof value === 'string' && /^\S+$/.test(value) ? value : JSON.stringify(value)
  return text.length <= longest.value ? text : `${text.slice(0, longest.value - 1)}…`
}

/** The value of a field, formatted as text; undefined if the field is absent. */
const shownIn = (fields: ReadonlyMap<string, unknown>, key: string): string | undefined =>
  fields.has(key) ? valueText(fields.get(key)) : undefined

/** A field whose value was changed. */
export interface FieldChange {
  readonly key: string
  /** The values are formatted as text; undefined if the field is absent. */
  readonly from: string | undefined
  readonly to: string | undefined
}

/** The fields that differ between two states of an entry, without the record of the host. */
export function changedFields(
  before: MachineEntry | ProfileEntry,
  after: MachineEntry | ProfileEntry,
): readonly FieldChange[] {
  const [was, is] = [fieldsOf(before), fieldsOf(after)]
  return [...new Set([...was.keys(), ...is.keys()])]
    .filter((key) => !isDeepStrictEqual(was.get(key), is.get(key)))
    .map((key) => ({ key, from: shownIn(was, key), to: shownIn(is, key) }))
}

/** Clauses such as `Set type for web-1, web-2 to t4g.small`, one for each field and value. */
function fieldClauses(changed: ReadonlyMap<string, readonly FieldChange[]>): string[] {
  const whose = new Map<string, { readonly field: FieldChange; readonly names: string[] }>()
  for (const [name, fields] of changed) {
    for (const field of fields) {
      const same = JSON.stringify([field.key, field.to])
      const { names } = whose.get(same) ?? { names: [] }
      whose.set(same, { field, names: [...names, name] })
    }
  }
  return [...whose.values()].map(({ field: { key, to }, names }) =>
    to === undefined
      ? `Unset ${key} for ${names.join(', ')}`
      : `Set ${key} for ${names.join(', ')} to ${to}`,
  )
}

const wasUnfinished = ({ before, after }: Change<MachineEntry>): boolean =>
  before?.host?.phase !== 'ready' && after?.host?.phase === 'ready'

/** The verb that describes a change of a machine; undefined if it is better described by the changed fields. */
function phraseFor(change: Change<MachineEntry>, verb: string): string | undefined {
  const { before, after } = change
  if (after === undefined) return verb === 'forget' ? 'Forget' : 'Remove'
  if (after.host?.phase === 'removing') return 'Begin removing'
  if (before === undefined || wasUnfinished(change)) {
    if (after.host === undefined) return 'Add'
    if (after.host.phase === 'creating') return 'Begin creating'
    return after.host.token === undefined ? 'Adopt' : 'Create'
  }
  return undefined
}

function entryClauses({ entries, renamed }: InventoryChanges, verb: string): string[] {
  const phrases = new Map<string, string[]>()
  const addPhrase = (phrase: string, name: string) =>
    phrases.set(phrase, [...(phrases.get(phrase) ?? []), name])
  const fields = new Map<string, readonly FieldChange[]>()
  for (const [name, change] of entries) {
    const { before, after } = change
    if (isDeepStrictEqual(before, after)) continue
    const phrase = phraseFor(change, verb)
    const changed = before && after ? changedFields(before, after) : []
    if (phrase !== undefined) addPhrase(phrase, name)
    else if (changed.length === 0) addPhrase('Update the saved state of', name)
    else fields.set(name, changed)
  }
  return [
    ...renamed.map(([from, to]) => `Rename ${from} to ${to}`),
    ...[...phrases].map(([phrase, names]) => `${phrase} ${names.join(', ')}`),
    ...fieldClauses(fields),
  ]
}

const profileClauses = ({ profiles }: InventoryChanges): string[] =>
  fieldClauses(
    new Map(
      [...profiles].map(([name, { before, after }]) => [
        `profile ${name}`,
        changedFields(before ?? {}, after ?? {}),
      ]),
    ),
  )

const operatorClauses = ({ operators }: InventoryChanges): string[] =>
  [...operators]
    .filter(([, { before, after }]) => !isDeepStrictEqual(before, after))
    .map(([name, { before, after }]) => {
      const verb = before === undefined ? 'Add' : after === undefined ? 'Remove' : 'Change'
      return `${verb} operator ${name}`
    })

const swarmClauses = ({ swarms }: InventoryChanges): string[] =>
  [...swarms]
    .filter(([, { before, after }]) => !isDeepStrictEqual(before, after))
    .map(([name]) => `Record the ID of swarm ${name}`)

/** Writes the commit message for the changes of the command `verb`: either one line, or a subject and a list. */
export function describeChanges(changes: InventoryChanges, verb: string): string {
  const clauses = [
    ...entryClauses(changes, verb),
    ...profileClauses(changes),
    ...operatorClauses(changes),
    ...swarmClauses(changes),
  ]
  if (clauses.length === 0) return `Change the inventory (fleet ${verb})`
  const [first = '', ...others] = clauses
  const subject = [first, ...others.map((text) => text[0]?.toLowerCase() + text.slice(1))].join(
    '; ',
  )
  if (subject.length <= longest.subject) return subject
  const names = [
    ...changes.entries.keys(),
    ...changes.profiles.keys(),
    ...changes.operators.keys(),
    ...changes.swarms.keys(),
  ]
  const isOnePhrase = others.length === 0 && names.length > 1
  const heading = isOnePhrase
    ? `${first.replace(/ [^ ]+, .*$/s, '')} ${names.length} machines`
    : `Change ${names.length === 1 ? names[0] : `${names.length} entries`}`
  return `${heading}\n\n${clauses.join('\n')}`
}
