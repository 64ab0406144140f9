import { isDeepStrictEqual } from 'node:util'
import { isMap, visit } from 'yaml'
import type { YAMLMap } from 'yaml'
import { UserError } from '../../errors.ts'
import type { MachineEntry } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import {
  findPair,
  keyOf,
  pairsOf,
  parseInventoryDocument,
  type InventoryDocument,
  type ParsedPair,
} from '../inventory/document.ts'
import {
  addLinesAfter,
  applyEdits,
  changeMap,
  removeLines,
  type Edit,
  type Layout,
} from './edit-mapping.ts'
import {
  columnOf,
  endOfLines,
  endOfPair,
  isBlankLine,
  lineBreakOf,
  nextLine,
  startOfLines,
} from './layout.ts'
import { renderMachine } from './render.ts'

type Values = Readonly<Record<string, unknown>>

const defaultUnit = 2

/** Sorts `web-2` before `web-10`. */
export const { compare: compareNames } = new Intl.Collator('en', { numeric: true })

/** The indentation of an entry's contents, relative to its name. */
function unitOf(text: string, machines: YAMLMap | undefined): number {
  const [entry] = machines ? pairsOf(machines) : []
  const [first] = entry && isMap(entry.value) && !entry.value.flow ? pairsOf(entry.value) : []
  if (!entry || !first)
    return entry ? columnOf(text, entry.key.range[0]) || defaultUnit : defaultUnit
  return columnOf(text, first.key.range[0]) - columnOf(text, entry.key.range[0])
}

/** Whether entries are separated by blank lines: true if the first two entries are, and for a single entry. */
function isSpaced(text: string, pairs: readonly ParsedPair[]): boolean {
  const [first] = pairs
  return (
    pairs.length < 2 ||
    (first !== undefined && isBlankLine(text, nextLine(text, endOfLines(text, first))))
  )
}

/** Inserts an entry into a block map, after the last entry whose name sorts before its own. */
function placeMachine(
  { text, unit }: Layout,
  machines: YAMLMap,
  name: string,
  entry: Values,
): Edit {
  const pairs = pairsOf(machines)
  const sorted = [...pairs].sort((a, b) => compareNames(keyOf(a), keyOf(b)))
  const above = sorted.findLast((pair) => compareNames(keyOf(pair), name) < 0)
  const [below] = sorted
  const indent = below ? columnOf(text, below.key.range[0]) : unit
  const lines = renderMachine(name, entry, indent, unit)
  const gap = isSpaced(text, pairs) ? [''] : []
  if (above || !below) {
    return addLinesAfter(text, above ? endOfLines(text, above) : 0, [...gap, ...lines])
  }
  const at = startOfLines(text, below)
  return { start: at, end: at, text: [...lines, ...gap, ''].join(lineBreakOf(text)) }
}

/** Adds the first machine below `machines:`, replacing an empty value, or at the end of the text with a new heading. */
function placeFirstMachine(
  { text, unit }: Layout,
  root: YAMLMap,
  name: string,
  entry: Values,
): readonly Edit[] {
  const heading = findPair(root, 'machines')
  const last = pairsOf(root).at(-1)
  const lines = renderMachine(name, entry, unit, unit)
  if (!heading)
    return [addLinesAfter(text, last ? endOfPair(text, last) : 0, ['machines:', ...lines])]
  const end = endOfPair(text, heading)
  const colon = text.indexOf(':', heading.key.range[1]) + 1
  return [{ start: colon, end, text: '' }, addLinesAfter(text, end, lines)]
}

/** Removes an entry. Removing the last entry leaves `{}`, because a heading without a value looks incomplete. */
function removeMachine(
  text: string,
  heading: ParsedPair,
  map: YAMLMap,
  pair: ParsedPair,
): readonly Edit[] {
  if (map.items.length > 1) return [removeLines(text, pair)]
  const colon = text.indexOf(':', heading.key.range[1]) + 1
  return [{ start: colon, end: colon, text: ' {}' }, removeLines(text, pair)]
}

/** Returns the edits that set or remove one machine's entry; none if the layout does not permit it. */
export function editsFor(
  { text, root, data }: InventoryDocument,
  name: MachineName,
  entry: MachineEntry | undefined,
): readonly Edit[] {
  if (!isMap(root.contents)) return []
  const contents = root.contents as YAMLMap
  if (contents.flow)
    return changeMap(
      { text, unit: defaultUnit },
      contents,
      data as Values,
      dataWith(data, name, entry),
    )
  const heading = findPair(contents, 'machines')
  const map = isMap(heading?.value) ? (heading.value as YAMLMap) : undefined
  const layout = { text, unit: unitOf(text, map) }
  if (!heading || !map || map.items.length === 0) {
    return entry ? placeFirstMachine(layout, contents, name, entry) : []
  }
  const before = machinesOf(data)
  const pair = findPair(map, name)
  if (entry && isMap(pair?.value)) {
    return changeMap(layout, pair.value, before[name] ?? {}, entry)
  }
  if (map.flow) {
    const { [name]: _old, ...others } = before
    return changeMap(layout, map, before, entry ? { ...others, [name]: entry } : others)
  }
  if (pair) return entry ? [] : removeMachine(text, heading, map, pair)
  return entry ? [placeMachine(layout, map, name, entry)] : []
}

function machinesOf(data: unknown): Readonly<Record<string, Values>> {
  const { machines } = data as { machines?: Readonly<Record<string, Values>> | null }
  return machines ?? {}
}

/** Returns the data of the file after setting or removing one machine's entry. */
export function dataWith(
  data: unknown,
  name: MachineName,
  entry: MachineEntry | undefined,
): Values {
  const { [name]: _old, ...others } = machinesOf(data)
  return { ...(data as Values), machines: entry ? { ...others, [name]: entry } : others }
}

/** Whether the text uses aliases, anchors, tags or complex keys, which make an edit unreliable. */
function isUnusual({ text, root }: InventoryDocument): boolean {
  let found = /^\s*\? /m.test(text)
  visit(root, {
    Alias: () => {
      found = true
      return visit.BREAK
    },
    Value: (_, { anchor, tag }) => {
      if (anchor === undefined && tag === undefined) return undefined
      found = true
      return visit.BREAK
    },
  })
  return found
}

/**
 * Sets or removes one machine's entry in a text. Everything else, and the unchanged lines of the entry, are kept byte
 * for byte. A new machine is inserted in the order of names, so that branches that add different machines rarely change
 * the same lines. Throws kind `inventory` if the layout, such as an alias, does not permit it.
 *
 * @param file the name of the file, for messages
 */
export function editInventory(
  document: InventoryDocument,
  name: MachineName,
  entry: MachineEntry | undefined,
  file: string,
): string {
  const text = applyEdits(document.text, editsFor(document, name, entry))
  const wanted = dataWith(document.data, name, entry)
  if (isDeepStrictEqual(readBack(text, file), wanted)) return text
  if (!isUnusual(document))
    throw new Error(`editing ${name} in ${file} produced an unexpected result`)
  throw new UserError(
    'inventory',
    `cannot change ${name} in ${file} without changing other lines`,
    {
      machine: name,
      hint: `write the entry for ${name} as plain indented lines, without anchors, aliases or tags`,
    },
  )
}

/** Returns the data of an edited text, to verify the edit; `undefined` if it is not valid YAML. */
function readBack(text: string, file: string): Values | undefined {
  try {
    const { data } = parseInventoryDocument(text, file)
    return { ...(data as Values), machines: machinesOf(data) }
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}
