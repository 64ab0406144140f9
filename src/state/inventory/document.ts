import { isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml'
import type { Document, Pair, ParsedNode, YAMLError, YAMLMap } from 'yaml'
import { UserError, messageOf } from '../../errors.ts'
import { findHidden, hiddenCharacter } from '../../machine/hidden-characters.ts'
import { describeHidden, inventoryError, maxProblems, type Problem } from './check/problem.ts'
import { shellQuote } from '../../os/shell-quote.ts'

/** A parsed text with its data and the positions of nodes. */
export interface InventoryDocument {
  readonly text: string
  readonly root: Document.Parsed
  readonly data: unknown
}

/** A key and its value, with their positions in the text. */
export type ParsedPair = Pair<ParsedNode, ParsedNode | null>

/** Maximum number of alias expansions, to prevent exponential expansion ("billion laughs"). */
const maxAliases = 10_000

/** Messages, keyed by the parser's error code. The parser's own messages may quote a secret. */
const syntaxMessages: Readonly<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'an alias cannot have an anchor or a tag',
  BAD_ALIAS: 'unknown or malformed alias (quote a value that begins with * or &)',
  BAD_COLLECTION_TYPE: 'the tag does not match the value',
  BAD_DIRECTIVE: 'malformed % directive',
  BAD_DQ_ESCAPE: String.raw`unknown escape in double quotes (a backslash is written \\)`,
  BAD_INDENT: 'the indentation does not match the surrounding lines',
  BAD_PROP_ORDER: 'an anchor or tag is in the wrong place',
  BAD_SCALAR_START: 'a value cannot begin with this character (quote it)',
  BLOCK_AS_IMPLICIT_KEY: 'malformed key or value (is a space or a quote missing?)',
  BLOCK_IN_FLOW: 'indented lines are not allowed inside { } or [ ]',
  DUPLICATE_KEY: 'duplicate key',
  IMPOSSIBLE: 'malformed YAML',
  KEY_OVER_1024_CHARS: 'a key can have at most 1,024 characters',
  MISSING_CHAR: 'something is missing here: a ":", a comma, a bracket, a quote or a space',
  MULTILINE_IMPLICIT_KEY: 'a key must be on one line (is a ":" missing?)',
  MULTIPLE_ANCHORS: 'more than one anchor',
  MULTIPLE_DOCS: 'a second document begins here (---); only one is allowed',
  MULTIPLE_TAGS: 'more than one tag',
  NON_STRING_KEY: 'a key must be plain text',
  RESOURCE_EXHAUSTION: 'the values are too deeply nested',
  TAB_AS_INDENT: 'tabs cannot be used for indentation; use spaces',
  TAG_RESOLVE_FAILED:
    'unknown tag, or a tag that does not match the value (quote a value that begins with !)',
  UNEXPECTED_TOKEN: 'unexpected character or word',
}

/** Hints for duplicate entries. */
const duplicateHints = {
  machines:
    'rename one entry, or keep only one (fleet gc finds hosts that are not in the inventory)',
  profiles: 'keep only one entry, or rename one and update every `extends` that refers to it',
  operators: 'keep only one entry, or rename one',
  stacks: 'keep only one entry, or rename one',
  swarms: 'keep only one entry, or rename one',
} as const

/**
 * Explains a duplicate entry or a duplicate host record: two branches added it in different places, so a line merge
 * kept both.
 */
function explainDuplicate(root: Document.Parsed, text: string, offset: number): string | undefined {
  for (const [section, remedy] of Object.entries(duplicateHints)) {
    const map = isMap(root.contents) && findPair(root.contents, section)?.value
    if (!isMap(map)) continue
    const twoRecords = pairsOf(map).find(
      ({ value }) =>
        isMap(value) &&
        pairsOf(value).some((pair) => pair.key.range[0] === offset && keyOf(pair) === 'host'),
    )
    if (twoRecords !== undefined) {
      return `${keyOf(twoRecords)} has two host sections: keep one (fleet gc finds hosts that are not in the inventory)`
    }
    const second = pairsOf(map).find(({ key }) => key.range[0] === offset)
    if (second === undefined) continue
    const name = keyOf(second)
    const first = pairsOf(map).find((pair) => keyOf(pair) === name)
    const line = text.slice(0, first?.key.range[0]).split('\n').length
    return `${name} is defined twice, first on line ${line}: ${remedy}`
  }
  return undefined
}

/**
 * Finds content that YAML or the parser allows and an inventory does not: duplicate keys, for which the parser's check
 * is quadratic; `__proto__`, which zod ignores; and hidden characters, including escaped ones.
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
        if (known.has(key) && problems.length < maxProblems) {
          const message = explainDuplicate(root, text, pair.key.range[0])
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
      return problems.length < maxProblems ? undefined : visit.BREAK
    },
  })
  return problems
}

/**
 * Maximum length of a text for the complete YAML parser, in characters. The parser takes a second for two million
 * characters.
 */
const maxLength = 4 * 2 ** 20

/** Parses the text of `file`. Throws kind `inventory` with every syntax error. */
export function parseInventoryDocument(text: string, file: string): InventoryDocument {
  if (text.length > maxLength) {
    throw new UserError(
      'inventory',
      `${file} is larger than ${maxLength / 2 ** 20} MiB and is either invalid or not in the layout that fleet writes`,
      {
        hint: `revert the last change (to see it: git diff ${shellQuote(file)}), or split the file into several inventories`,
      },
    )
  }
  const root = parseDocument(text, {
    prettyErrors: false,
    stringKeys: true,
    merge: true,
    uniqueKeys: false,
  })
  const syntaxErrors = [...root.errors, ...root.warnings].slice(0, maxProblems)
  const problems = [
    ...syntaxErrors.map(({ pos: [offset], code }) => ({ offset, message: syntaxMessages[code] })),
    ...findForbidden(root, text),
  ]
  if (problems.length > 0) throw inventoryError(file, text, problems)
  try {
    return { text, root, data: root.toJS({ maxAliasCount: maxAliases }) }
  } catch (error) {
    const problem = explainExpansion(root, error)
    throw problem ? inventoryError(file, text, [problem]) : error
  }
}

/** Returns the problem with the aliases or merge keys of a text; `undefined` for other errors. */
function explainExpansion(root: Document.Parsed, error: unknown): Problem | undefined {
  const isMerge = messageOf(error).startsWith('Merge sources')
  if (!isMerge && !(error instanceof ReferenceError)) return undefined
  let problem = isMerge
    ? { offset: 0, message: '<< requires a mapping or an alias for a mapping' }
    : { offset: 0, message: 'aliases expand to too much data' }
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

/** Returns the pairs of a parsed map. */
export const pairsOf = (map: YAMLMap): readonly ParsedPair[] => map.items as ParsedPair[]

/**
 * Whether a pair merges the keys of another map (YAML 1.1, Merge Key). A quoted `<<` is an ordinary
 * key.
 */
export const mergesKeys = ({ key }: ParsedPair): boolean =>
  isScalar(key) && key.source === '<<' && key.type === 'PLAIN'

/** Returns the text of a pair's key. */
export const keyOf = ({ key }: ParsedPair): string => (isScalar(key) ? String(key.value) : '')

/** Returns the pair with this key, ignoring pairs from a merge key (`<<`). */
export const findPair = (map: YAMLMap, key: string): ParsedPair | undefined =>
  pairsOf(map).find((pair) => keyOf(pair) === key && !mergesKeys(pair))

/** A value of the document: its node, and the position of the nearest key above it in the text. */
export interface Located {
  readonly node: ParsedNode | null | undefined
  readonly keyOffset: number
}

/** Finds the value at a path, following aliases; `node` is `undefined` if there is none. */
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
