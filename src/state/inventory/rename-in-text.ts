import { isDeepStrictEqual } from 'node:util'
import { isMap } from 'yaml'
import { UserError } from '../../errors.ts'
import type { MachineName } from '../../machine/name.ts'
import { findPair, locate, parseInventoryDocument } from './document.ts'
import { applyEdits } from '../yaml/edit-mapping.ts'
import { renderKey } from '../yaml/render.ts'

type Values = Readonly<Record<string, unknown>>

/**
 * Changes the name of a machine's entry in the text of `file`. The entry keeps its position and
 * comments. Throws kind `inventory` if the name is not in the text, as with a merge key.
 */
export function renameInText(
  text: string,
  from: MachineName,
  to: MachineName,
  file: string,
): string {
  const { root, data } = parseInventoryDocument(text, file)
  const { node } = locate(root, ['machines'])
  const pair = isMap(node) ? findPair(node, from) : undefined
  const [start = 0, end = 0] = pair?.key.range ?? []
  const edited = applyEdits(text, pair ? [{ start, end, text: renderKey(to) }] : [])
  const { [from]: entry, ...others } = (data as { machines: Values }).machines
  const wanted = { ...(data as Values), machines: { ...others, [to]: entry } }
  if (isDeepStrictEqual(parseInventoryDocument(edited, file).data, wanted)) return edited
  throw new UserError('inventory', `cannot rename ${from} in ${file}`, {
    machine: from,
    hint: `write the entry for ${from} as plain indented lines, without anchors, aliases or tags`,
  })
}
