import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../errors.ts'
import type { MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { MergedLines, Versions } from './git.ts'
import type { Section } from './blocks.ts'
import { parseInventoryDocument } from '../inventory/document.ts'
import { editInventory } from '../yaml/edit-entry.ts'
import { mergeValues, onlyVolatile } from './merge-values.ts'
import { normalizeEntry } from '../yaml/normalize-entry.ts'

/** Merges lines as git does. */
export type MergeLines = (versions: Versions) => Promise<MergedLines>

/** An entry on one side: its lines and their data. */
export interface ParsedEntry {
  readonly text: string
  readonly data: unknown
}

/** An entry on all sides; `undefined` on sides where it does not exist. */
export interface EntrySides {
  readonly section: Section
  readonly base: ParsedEntry | undefined
  readonly ours: ParsedEntry | undefined
  readonly theirs: ParsedEntry | undefined
}

/** The merged lines (`undefined` if the entry was removed) or, if there is a conflict, its lines and the reason. */
export type MergedEntry =
  | { readonly text: string | undefined }
  | { readonly text: string; readonly conflict: string }

const heading = 'machines:\n'

const entriesIn = (text: string): Readonly<Record<string, unknown>> =>
  (parseInventoryDocument(text, '').data as { machines: Readonly<Record<string, unknown>> })
    .machines

/** Whether two versions of an entry have the same text, or neither exists. */
const isSame = (a: ParsedEntry | undefined, b: ParsedEntry | undefined): boolean =>
  a?.text === b?.text

const withMarkers = ({ ours, theirs }: EntrySides): string =>
  [
    '<<<<<<< ours',
    ...(ours === undefined ? [] : [ours.text]),
    '=======',
    ...(theirs === undefined ? [] : [theirs.text]),
    '>>>>>>> theirs',
  ].join('\n')

/** Identifies a host by its id, its address, or its token. */
function hostIn(entry: ParsedEntry | undefined): string | undefined {
  const host = (entry?.data as Partial<MachineEntry> | undefined)?.host
  return host && (host.id ?? host.address ?? host.token)
}

/** Returns the message for two hosts with the same name. */
const describeTwoHosts = (name: string, [one, other]: readonly [string, string]): string =>
  `${name} has two different hosts, ${one} and ${other}: rename one entry, or keep only one (fleet gc finds hosts that are not in the inventory)`

function describeConflict(
  name: string,
  { base, ours, theirs }: EntrySides,
  places: readonly string[],
) {
  const [one, other] = [hostIn(ours), hostIn(theirs)]
  if (one !== undefined && other !== undefined && one !== other && hostIn(base) === undefined) {
    return describeTwoHosts(name, [one, other])
  }
  const what = places.join(', ')
  return base === undefined
    ? `both sides added ${name} with different values: ${what}`
    : `both sides changed ${name}: ${what}`
}

const differingKeys = (ours: unknown, theirs: unknown): readonly string[] => {
  const [one, other] = [ours, theirs].map((data) => new Map(Object.entries(data as object)))
  return [...new Set([...(one?.keys() ?? []), ...(other?.keys() ?? [])])].filter(
    (key) => !isDeepStrictEqual(one?.get(key), other?.get(key)),
  )
}

const commentsIn = (text: string): readonly string[] => text.match(/(?<=^|\s)#.*$/gm) ?? []

/** Edits the lines of an entry so that their data is `value`, keeping unchanged lines. */
function editLines(
  text: string,
  name: string,
  { value, isMachine }: { readonly value: unknown; readonly isMachine: boolean },
): string {
  const machine = name as MachineName
  const entry = isMachine ? normalizeEntry(machine, value as MachineEntry) : (value as MachineEntry)
  const document = parseInventoryDocument(`${heading}${text}\n`, '')
  return editInventory(document, machine, entry, '').slice(heading.length).trimEnd()
}

const withoutTime = (entry: ParsedEntry | undefined): unknown => {
  const data = entry?.data as MachineEntry | undefined
  return { ...data, host: { ...data?.host, created: undefined } }
}

/**
 * Whether both sides added the same machine, apart from the time of its creation and volatile
 * facts.
 */
const sameAddition = ({ base, ours, theirs }: EntrySides): boolean =>
  base === undefined && onlyVolatile(withoutTime(ours), withoutTime(theirs))

/**
 * Merges an entry that both sides changed or added, or that one side changed and the other removed.
 */
async function mergeBoth(
  name: string,
  sides: EntrySides,
  mergeLines: MergeLines,
): Promise<MergedEntry> {
  const { base, ours, theirs } = sides
  const markers = withMarkers(sides)
  if (ours === undefined || theirs === undefined) {
    const kept = ours ?? theirs
    if (onlyVolatile(base?.data, kept?.data)) return { text: undefined }
    return { text: markers, conflict: `one side removed ${name}, and the other changed it` }
  }
  if (sameAddition(sides)) return { text: ours.text }
  const { value, conflicts } = mergeValues(base?.data, ours.data, theirs.data)
  if (base === undefined || conflicts.length > 0) {
    const differing = conflicts.length > 0 ? conflicts : differingKeys(ours.data, theirs.data)
    return { text: markers, conflict: describeConflict(name, sides, differing) }
  }
  const lines = await mergeLines({ base: base.text, ours: ours.text, theirs: theirs.text })
  if (lines.isClean && isDeepStrictEqual(entriesIn(`${heading}${lines.text}`)[name], value)) {
    return { text: lines.text }
  }
  if (!isDeepStrictEqual(commentsIn(theirs.text), commentsIn(base.text))) {
    return {
      text: markers,
      conflict: `both sides changed ${name}, and one of them also changed comments in this entry`,
    }
  }
  return { text: editLines(ours.text, name, { value, isMachine: sides.section === 'machines' }) }
}

/**
 * Merges an entry. If only one side changed it, its lines are used unchanged; if both did, the data is merged key by
 * key. Conflicts are placed between markers.
 */
export async function mergeEntry(
  name: string,
  sides: EntrySides,
  mergeLines: MergeLines,
): Promise<MergedEntry> {
  const { base, ours, theirs } = sides
  if (isSame(ours, theirs) || isSame(theirs, base)) return { text: ours?.text }
  if (isSame(ours, base)) return { text: theirs?.text }
  try {
    return await mergeBoth(name, sides, mergeLines)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { text: withMarkers(sides), conflict: `both sides changed ${name}: ${error.message}` }
  }
}
