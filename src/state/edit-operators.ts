import { isDeepStrictEqual } from 'node:util'
import { isMap } from 'yaml'
import type { YAMLMap } from 'yaml'
import { UserError } from '../errors.ts'
import { inventoryFile, type OperatorEntry } from '../machine/schema.ts'
import { expectation } from './expectation.ts'
import { findPair, parseInventoryDocument } from './inventory-document.ts'
import { applyEdits, changeMap, removeLines } from './yaml-edit.ts'

type Values = Readonly<Record<string, unknown>>

/** An operator's entry as it may be written. Throws kind `usage` for one that could not be read back. */
export function tidyOperator(name: string, entry: OperatorEntry): OperatorEntry {
  const issue = inventoryFile.shape.operators.safeParse({ [name]: entry }).error?.issues[0]
  if (issue === undefined) return entry
  throw new UserError('usage', `operator ${name}: expected ${expectation(issue)}`)
}

/** What a file says, with one operator's entry made `entry`; without any, the key goes. */
function dataWith(data: Values, name: string, entry: OperatorEntry | undefined): Values {
  const { operators, machines, ...others } = data
  const { [name]: _old, ...rest } = (operators ?? {}) as Readonly<Record<string, OperatorEntry>>
  const left = entry === undefined ? rest : { ...(operators as Values | undefined), [name]: entry }
  return {
    ...others,
    ...(Object.keys(left).length > 0 && { operators: left }),
    ...('machines' in data && { machines }),
  }
}

/**
 * The text of `file` with one operator's entry made `entry`, or removed. Everything else stays byte for byte.
 * Throws kind `inventory` where the layout leaves no way to do so.
 */
export function editOperators(
  text: string,
  name: string,
  entry: OperatorEntry | undefined,
  file: string,
): string {
  const { root, data } = parseInventoryDocument(text, file)
  const contents = root.contents as unknown as YAMLMap
  const wanted = dataWith(data as Values, name, entry)
  const before = findPair(contents, 'operators')
  const isLast = before !== undefined && !('operators' in wanted)
  const edits =
    isLast && !contents.flow && isMap(before.value)
      ? [removeLines(text, before)]
      : changeMap({ text, unit: 2 }, contents, data as Values, wanted)
  const edited = applyEdits(text, edits)
  if (isDeepStrictEqual(parseInventoryDocument(edited, file).data, wanted)) return edited
  throw new UserError(
    'inventory',
    `cannot change operator ${name} in ${file} without other lines`,
    {
      hint: 'write `operators:` as plain indented lines, without anchors, aliases and tags',
    },
  )
}
