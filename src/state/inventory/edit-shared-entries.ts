import { isDeepStrictEqual } from 'node:util'
import { isMap } from 'yaml'
import type { YAMLMap } from 'yaml'
import { UserError } from '../../errors.ts'
import {
  inventoryFile,
  type OperatorEntry,
  type ProfileEntry,
  type SwarmEntry,
} from '../../machine/schema.ts'
import { describeExpected } from './check/describe-expected.ts'
import { findPair, parseInventoryDocument } from './document.ts'
import { checkHidden } from '../yaml/normalize-entry.ts'
import { applyEdits, changeMap, removeLines } from '../yaml/edit-mapping.ts'

type Values = Readonly<Record<string, unknown>>

/** The sections of shared entries, with the types of their entries. */
interface SharedEntries {
  readonly operators: OperatorEntry
  readonly profiles: ProfileEntry
  readonly swarms: SwarmEntry
}

/** Names of the sections' entries in messages. */
const titles = { operators: 'operator', profiles: 'profile', swarms: 'swarm' } as const

/** Validates an entry before it is written. Throws kind `usage` if the entry could not be read back. */
export function validateShared<Section extends keyof SharedEntries>(
  section: Section,
  name: string,
  entry: SharedEntries[Section],
): SharedEntries[Section] {
  const issue = inventoryFile.shape[section].safeParse({ [name]: entry }).error?.issues[0]
  checkHidden(entry, `${titles[section]} ${name}`)
  if (issue === undefined) return entry
  throw new UserError('usage', `${titles[section]} ${name}: expected ${describeExpected(issue)}`)
}

/** Returns the data of a file after setting or removing one entry of a section. An empty section is removed. */
function dataWith(
  data: Values,
  section: keyof SharedEntries,
  name: string,
  entry: unknown,
): Values {
  const { [section]: before, machines, ...others } = data
  const { [name]: _old, ...rest } = (before ?? {}) as Values
  const left = entry === undefined ? rest : { ...(before as Values | null), [name]: entry }
  return {
    ...others,
    ...(Object.keys(left).length > 0 && { [section]: left }),
    ...('machines' in data && { machines }),
  }
}

/**
 * Sets or removes one operator, profile or swarm in the text of `file`. Everything else stays unchanged
 * byte for byte. Throws kind `inventory` if the layout does not permit it.
 */
export function editShared<Section extends keyof SharedEntries>(
  text: string,
  [section, name, entry]: readonly [Section, string, SharedEntries[Section] | undefined],
  file: string,
): string {
  const { root, data } = parseInventoryDocument(text, file)
  const contents = root.contents as unknown as YAMLMap
  const wanted = dataWith(data as Values, section, name, entry)
  const before = findPair(contents, section)
  const isLast = before !== undefined && !(section in wanted)
  const edits =
    isLast && !contents.flow && isMap(before.value)
      ? [removeLines(text, before)]
      : changeMap({ text, unit: 2 }, contents, data as Values, wanted)
  const edited = applyEdits(text, edits)
  if (isDeepStrictEqual(parseInventoryDocument(edited, file).data, wanted)) return edited
  throw new UserError(
    'inventory',
    `cannot change ${titles[section]} ${name} in ${file} without changing other lines`,
    {
      hint: `write \`${section}:\` as plain indented lines, without anchors, aliases or tags`,
    },
  )
}
