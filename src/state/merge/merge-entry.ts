import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../errors.ts'
import type { MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { MergedLines, Versions } from './git.ts'
import type { Section } from './blocks.ts'
import { parseInventoryDocument } from '../inventory/document.ts'
import { editInventory } from '../yaml/edit-entry.ts'
import { mergeValues, onlyVolatile } from './merge-values.ts'
import { tidyEntry } from '../yaml/normalize-entry.ts'

/** Merges texts line by line, as git does. */
export type MergeLines = (versions: Versions) => Promise<MergedLines>

/** One entry on one side: its lines, and what they say. */
export interface SaidEntry {
  readonly text: string
  readonly data: unknown
}

/** An entry on all sides; undefined where it is not there. */
export interface EntrySides {
  readonly section: Section
  readonly base: SaidEntry | undefined
  readonly ours: SaidEntry | undefined
  readonly theirs: SaidEntry | undefined
}

/** What comes of an entry: its lines, none where it goes, or why a person has to decide. */
export type MergedEntry =
  | { readonly text: string | undefined }
  | { readonly text: string; readonly conflict: string }

const heading = 'machines:\n'

const entriesIn = (text: string): Readonly<Record<string, unknown>> =>
  (parseInventoryDocument(text, '').data as { machines: Readonly<Record<string, unknown>> })
    .machines

/** Whether both are the same text, or the same nothing. */
const same = (a: SaidEntry | undefined, b: SaidEntry | undefined): boolean => a?.text === b?.text

const withMarkers = ({ ours, theirs }: EntrySides): string =>
  [
    '<<<<<<< ours',
    ...(ours === undefined ? [] : [ours.text]),
    '=======',
    ...(theirs === undefined ? [] : [theirs.text]),
    '>>>>>>> theirs',
  ].join('\n')

/** How a host is told from another of the same name: by its id, its address, or at least its token. */
function hostIn(entry: SaidEntry | undefined): string | undefined {
  const host = (entry?.data as Partial<MachineEntry> | undefined)?.host
  return host && (host.id ?? host.address ?? host.token)
}

/** Two hosts under one name, in words. */
const twoHosts = (name: string, [one, other]: readonly [string, string]): string =>
  `${name} has two different hosts, ${one} and ${other}: give one of them another name, or keep one entry (fleet gc finds a host without an entry)`

function tellBoth(name: string, { base, ours, theirs }: EntrySides, places: readonly string[]) {
  const [one, other] = [hostIn(ours), hostIn(theirs)]
  if (one !== undefined && other !== undefined && one !== other && hostIn(base) === undefined) {
    return twoHosts(name, [one, other])
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

/** Makes the lines of an entry say `value`, leaving alone what says so already. */
function editLines(
  text: string,
  name: string,
  { value, isMachine }: { readonly value: unknown; readonly isMachine: boolean },
): string {
  const machine = name as MachineName
  const entry = isMachine ? tidyEntry(machine, value as MachineEntry) : (value as MachineEntry)
  const document = parseInventoryDocument(`${heading}${text}\n`, '')
  return editInventory(document, machine, entry, '').slice(heading.length).trimEnd()
}

const withoutTime = (entry: SaidEntry | undefined): unknown => {
  const data = entry?.data as MachineEntry | undefined
  return { ...data, host: { ...data?.host, created: undefined } }
}

/** Machines that both sides added are the same if only the time of that differs, and what is looked up again. */
const sameAddition = ({ base, ours, theirs }: EntrySides): boolean =>
  base === undefined && onlyVolatile(withoutTime(ours), withoutTime(theirs))

/** Merges an entry that both sides changed, added, or changed and removed. */
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
    return { text: markers, conflict: tellBoth(name, sides, differing) }
  }
  const lines = await mergeLines({ base: base.text, ours: ours.text, theirs: theirs.text })
  if (lines.isClean && isDeepStrictEqual(entriesIn(`${heading}${lines.text}`)[name], value)) {
    return { text: lines.text }
  }
  if (!isDeepStrictEqual(commentsIn(theirs.text), commentsIn(base.text))) {
    return { text: markers, conflict: `both sides changed ${name}, and one its comments` }
  }
  return { text: editLines(ours.text, name, { value, isMachine: sides.section === 'machines' }) }
}

/**
 * Merges what two sides made of one machine. Where only one side touched it, its lines are taken as they are; where
 * both did, what they say is merged key by key. What one of them must decide comes between marker lines.
 */
export async function mergeEntry(
  name: string,
  sides: EntrySides,
  mergeLines: MergeLines,
): Promise<MergedEntry> {
  const { base, ours, theirs } = sides
  if (same(ours, theirs) || same(theirs, base)) return { text: ours?.text }
  if (same(ours, base)) return { text: theirs?.text }
  try {
    return await mergeBoth(name, sides, mergeLines)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { text: withMarkers(sides), conflict: `both sides changed ${name}: ${error.message}` }
  }
}
