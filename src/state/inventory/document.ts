import { isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml'
import type { Document, Pair, ParsedNode, YAMLError, YAMLMap } from 'yaml'
import { UserError, messageOf } from '../../errors.ts'
import { findHidden, hiddenCharacter } from '../../machine/hidden-characters.ts'
import { describeHidden, inventoryError, mostFound, type Problem } from './check/problem.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** A parsed text: what it says, and where. */
export interface InventoryDocument {
  readonly text: string
  readonly root: Document.Parsed
  readonly data: unknown
}

/** A key and its value, with their places in the text. */
export type ParsedPair = Pair<ParsedNode, ParsedNode | null>

/** How often aliases may be expanded before they are taken for a bomb. */
const mostAliases = 10_000

/** By the parser's error code: what is wrong. The parser's own messages may quote a secret. */
const syntaxMessages: Readonly<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'an alias cannot have an anchor or a tag',
  BAD_ALIAS: 'unknown or malformed alias (quote a value that begins with * or &)',
  BAD_COLLECTION_TYPE: 'the tag does not fit the value',
  BAD_DIRECTIVE: 'malformed % directive',
  BAD_DQ_ESCAPE: String.raw`unknown escape in double quotes (a backslash is written \\)`,
  BAD_INDENT: 'the indentation does not fit the lines around',
  BAD_PROP_ORDER: 'an anchor or tag in the wrong place',
  BAD_SCALAR_START: 'a value cannot begin with this character (quote it)',
  BLOCK_AS_IMPLICIT_KEY:
    'a key and its value do not fit on this line (is a space missing, or a quote?)',
  BLOCK_IN_FLOW: 'indented lines cannot stand inside { } or [ ]',
  DUPLICATE_KEY: 'duplicate key',
  IMPOSSIBLE: 'malformed YAML',
  KEY_OVER_1024_CHARS: 'a key can have 1,024 characters at most',
  MISSING_CHAR: 'something is missing here: a ":", a comma, a bracket, a quote or a space',
  MULTILINE_IMPLICIT_KEY: 'a key must be on one line (is a ":" missing?)',
  MULTIPLE_ANCHORS: 'more than one anchor',
  MULTIPLE_DOCS: 'a second document begins here (---); only one is allowed',
  MULTIPLE_TAGS: 'more than one tag',
  NON_STRING_KEY: 'a key must be a plain text',
  RESOURCE_EXHAUSTION: 'too deeply nested',
  TAB_AS_INDENT: 'a tab cannot indent; use spaces',
  TAG_RESOLVE_FAILED: 'unknown tag, or one that does not fit (quote a value that begins with !)',
  UNEXPECTED_TOKEN: 'unexpected character or word',
}

/** What to do about an entry that is there twice. */
const remedies = {
  machines:
    'give one of them another name, or keep one entry (fleet gc finds a host without an entry)',
  profiles: 'keep one, or give one of them another name and change `extends` where it is meant',
  operators: 'keep one, or give one of them another name',
} as const

/** An entry, or the record in it, that is there twice: two branches added it, at places that do not meet in a merge of lines. */
function explainTwice(root: Document.Parsed, text: string, offset: number): string | undefined {
  for (const [section, remedy] of Object.entries(remedies)) {
    const map = isMap(root.contents) && findPair(root.contents, section)?.value
    if (!isMap(map)) continue
    const twoRecords = pairsOf(map).find(
      ({ value }) =>
        isMap(value) &&
        pairsOf(value).some((pair) => pair.key.range[0] === offset && keyOf(pair) === 'host'),
    )
    if (twoRecords !== undefined) {
      return `${keyOf(twoRecords)} has two host records: keep one (fleet gc finds a host without an entry)`
    }
    const second = pairsOf(map).find(({ key }) => key.range[0] === offset)
    if (second === undefined) continue
    const name = keyOf(second)
    const first = pairsOf(map).find((pair) => keyOf(pair) === name)
    const line = text.slice(0, first?.key.range[0]).split('\n').length
    return `${name} is defined twice, first in line ${line}: ${remedy}`
  }
  return undefined
}

/**
 * What no inventory may have though YAML allows it: keys that are there twice, which the parser compares each with each;
 * `__proto__`, which zod passes over, so that it would vanish unseen; and hidden characters, however they are written.
 */
function findForbidden(root: Document.Parsed, text: string): Problem[] {
  const problems: Problem[] = []
  const add = (node: { readonly range?: readonly number[] | null }, message: string): void => {
    problems.push({ offset: node.range?.[0] ?? 0, message })
  }
  visit(root, {
    Map(_, map) {
      const known = new Set<string>()
      for (const pair of pairsOf(map)) {
        const key = keyOf(pair)
        if (known.has(key) && problems.length < mostFound) {
          const message = explainTwice(root, text, pair.key.range[0])
          add(pair.key, message ?? syntaxMessages.DUPLICATE_KEY)
        }
        known.add(key)
        if (key === '__proto__') add(pair.key, '__proto__ cannot be a key')
      }
    },
    Scalar(_, scalar) {
      const { value } = scalar
      if (typeof value !== 'string' || !hiddenCharacter.test(value)) return undefined
      add(scalar, describeHidden(findHidden(value)))
      return problems.length < mostFound ? undefined : visit.BREAK
    },
  })
  return problems
}

/** In characters, as long as a text may be that takes a whole YAML parser, which needs a second for two million. */
const longest = 4 * 2 ** 20

/** Parses the text of `file`. Throws kind `inventory` with every syntax error. */
export function parseInventoryDocument(text: string, file: string): InventoryDocument {
  if (text.length > longest) {
    throw new UserError(
      'inventory',
      `${file} is larger than ${longest / 2 ** 20} MiB, and is invalid or not in the layout that fleet writes`,
      {
        hint: `undo the last change (git diff ${shellQuote(file)}), or split it into several inventories`,
      },
    )
  }
  const root = parseDocument(text, {
    prettyErrors: false,
    stringKeys: true,
    merge: true,
    uniqueKeys: false,
  })
  const wrong = [...root.errors, ...root.warnings].slice(0, mostFound)
  const problems = [
    ...wrong.map(({ pos: [offset], code }) => ({ offset, message: syntaxMessages[code] })),
    ...findForbidden(root, text),
  ]
  if (problems.length > 0) throw inventoryError(file, text, problems)
  try {
    return { text, root, data: root.toJS({ maxAliasCount: mostAliases }) }
  } catch (error) {
    const problem = explainExpansion(root, error)
    throw problem ? inventoryError(file, text, [problem]) : error
  }
}

/** Why the parser could not follow the aliases or merge keys of a text; undefined for other errors. */
function explainExpansion(root: Document.Parsed, error: unknown): Problem | undefined {
  const isMerge = messageOf(error).startsWith('Merge sources')
  if (!isMerge && !(error instanceof ReferenceError)) return undefined
  let problem = isMerge
    ? { offset: 0, message: '<< requires keys and values, or an alias of a mapping' }
    : { offset: 0, message: 'aliases expand to more than this file may contain' }
  visit(root, {
    Pair(_, pair) {
      if (!isMerge || !mergesKeys(pair as ParsedPair)) return undefined
      problem = { ...problem, offset: (pair as ParsedPair).key.range[0] }
      return visit.BREAK
    },
    Alias(_, alias) {
      if (isMerge || alias.resolve(root) !== undefined) return undefined
      problem = { offset: alias.range?.[0] ?? 0, message: syntaxMessages.BAD_ALIAS }
      return visit.BREAK
    },
  })
  return problem
}

/** The pairs of a map that the parser made. */
export const pairsOf = (map: YAMLMap): readonly ParsedPair[] => map.items as ParsedPair[]

/** Whether a pair takes over the keys of another map (YAML 1.1, Merge Key). In quotes, `<<` is a key like others. */
export const mergesKeys = ({ key }: ParsedPair): boolean =>
  isScalar(key) && key.source === '<<' && key.type === 'PLAIN'

/** The text of a pair's key. */
export const keyOf = ({ key }: ParsedPair): string => (isScalar(key) ? String(key.value) : '')

/** The pair of a map's own key: not one that a merge key (`<<`) brings in. */
export const findPair = (map: YAMLMap, key: string): ParsedPair | undefined =>
  pairsOf(map).find((pair) => keyOf(pair) === key && !mergesKeys(pair))

/** A value of the document: its node, and the place of the nearest key above it that is written out. */
export interface Located {
  readonly node: ParsedNode | null | undefined
  readonly keyOffset: number
}

/** Finds what stands at a path, following aliases; `node` is undefined where nothing does. */
export function locate(root: Document.Parsed, path: readonly PropertyKey[]): Located {
  let node: ParsedNode | null | undefined = root.contents
  let keyOffset = root.contents?.range[0] ?? 0
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(root) as ParsedNode | undefined
    if (isMap(node)) {
      const pair = findPair(node, String(key))
      keyOffset = pair?.key.range[0] ?? keyOffset
      node = pair && pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(key)]
      keyOffset = node?.range[0] ?? keyOffset
    } else return { node: undefined, keyOffset }
  }
  return { node, keyOffset }
}
