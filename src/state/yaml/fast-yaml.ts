// A fast reader for the subset of YAML that inventories usually use: see README.md for what it
// supports and where it gives up. A text that it accepts means the same to every parser of YAML 1.2
// (core schema).

import { hiddenCharacter } from '../../machine/hidden-characters.ts'

type Values = Record<string, unknown>

/** The content of an inventory in plain YAML, and the positions of its machines. */
export interface PlainInventory {
  readonly data: Readonly<Values>
  /**
   * The machines in the order of the text, with the offset of each machine's first line. Empty if they are not in block
   * style.
   */
  readonly entries: readonly { readonly name: string; readonly start: number }[]
  /** The start of the line after the last machine. */
  readonly end: number
}

/** Thrown for a text outside the supported subset, and caught in {@link readPlainInventory}. */
class NotPlain extends Error {}

const maxDepth = 16

/**
 * Matches text that requires the complete parser: tabs, control characters, unusual spaces, and the key `__proto__`.
 */
const unsupported =
  // oxlint-disable-next-line no-control-regex
  /[\0-\u0009\u000B\u000C\u000E-\u001F\u007F-\u00A0\u1680\u2000-\u200F\u2028-\u202F\u205F\u3000\p{Cf}\p{Cs}]|\r(?!\n)|__proto__/u

/** The current line. Skips blank lines and comments; after the last line, it is at the end of the text. */
class Cursor {
  /** Start of the line; after the last line, the length of the text. */
  start = 0
  /** Indentation of the line; after the last line, less than any line's indentation. */
  indent = -1
  /** The line without its indentation or trailing spaces. */
  body = ''
  readonly #text: string
  #next = 0

  constructor(text: string) {
    this.#text = text
    this.advance()
  }

  get isItem(): boolean {
    return this.body.startsWith('- ')
  }

  advance(): void {
    const text = this.#text
    while (this.#next < text.length) {
      this.start = this.#next
      const feed = text.indexOf('\n', this.start)
      this.#next = feed < 0 ? text.length : feed + 1
      let end = feed < 0 ? text.length : feed
      if (text[end - 1] === '\r') end -= 1
      while (end > this.start && text[end - 1] === ' ') end -= 1
      let first = this.start
      while (first < end && text[first] === ' ') first += 1
      if (first === end || text[first] === '#') continue
      this.indent = first - this.start
      this.body = text.slice(first, end)
      return
    }
    this.start = text.length
    this.indent = -1
    this.body = ''
  }
}

const quotedText = /"(?:[^"\\]|\\["\\/bfnrt]|\\u[\da-fA-F]{4})*"|'(?:[^']|'')*'/y
const plainKey = /^[A-Za-z\d_/][\w./-]{0,99}$/
const quotedKey = /^(?:"[^"\\]{1,100}"|'[^']{1,100}')(?=:)/
const flowText = /[A-Za-z\d/](?:[\w./+=@-]|:(?=[\w./+=-])| +(?=[\w/+=]))*/y
/** Matches the text that can follow a value on its line: spaces and a comment. */
const nothingMore = /^ *(?: #.*)?$/

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

function unquote(quoted: string): string {
  if (quoted.startsWith("'")) return quoted.slice(1, -1).replaceAll("''", "'")
  if (!quoted.includes('\\')) return quoted.slice(1, -1)
  const text = JSON.parse(quoted) as string
  if (hiddenCharacter.test(text)) throw new NotPlain()
  return text
}

/** Returns the value of a plain scalar (YAML 1.2, 10.3.2). Supports only the most common forms. */
function resolve(words: string): unknown {
  if (words === 'true') return true
  if (words === 'false') return false
  if (/^(?:0|[1-9]\d{0,14}|\d{1,15}\.\d{1,15})$/.test(words)) return Number(words)
  const mayBeOther = /^(?:true|false|null|0o[0-7]+|0x[\da-f]+|\d+(?:\.\d*)?(?:e[-+]?\d+)?)$/i
  if (mayBeOther.test(words)) throw new NotPlain()
  return words
}

/** Returns the value at `at` inside `{ }` or `[ ]`, and the end of the value. */
function readFlow(text: string, at: number, depth: number): { value: unknown; end: number } {
  if (depth > maxDepth) throw new NotPlain()
  if (text[at] === '{') return readFlowMap(text, at, depth)
  if (text[at] === '[') return readFlowList(text, at, depth)
  const quoted = matchAt(quotedText, text, at)
  if (quoted !== undefined) return { value: unquote(quoted), end: at + quoted.length }
  const words = matchAt(flowText, text, at)
  if (words === undefined) throw new NotPlain()
  return { value: resolve(words), end: at + words.length }
}

const afterSpaces = (text: string, at: number): number => {
  let end = at
  while (text[end] === ' ') end += 1
  return end
}

/** Returns the start of the next item or, after `closing`, the end of the collection. */
function nextItem(text: string, at: number, closing: string): { next: number } | { end: number } {
  const mark = afterSpaces(text, at)
  if (text[mark] === closing) return { end: mark + 1 }
  if (text[mark] !== ',') throw new NotPlain()
  return { next: afterSpaces(text, mark + 1) }
}

function readFlowList(text: string, at: number, depth: number): { value: unknown[]; end: number } {
  const value: unknown[] = []
  let next = afterSpaces(text, at + 1)
  if (text[next] === ']') return { value, end: next + 1 }
  for (;;) {
    const item = readFlow(text, next, depth + 1)
    value.push(item.value)
    const then = nextItem(text, item.end, ']')
    if ('end' in then) return { value, end: then.end }
    next = then.next
  }
}

function readFlowMap(text: string, at: number, depth: number): { value: Values; end: number } {
  const value: Values = {}
  let next = afterSpaces(text, at + 1)
  if (text[next] === '}') return { value, end: next + 1 }
  for (;;) {
    const quoted = matchAt(quotedText, text, next)
    const key = quoted ?? matchAt(flowText, text, next) ?? ''
    const colon = next + key.length
    if (key.length > 100 || key === '' || text.slice(colon, colon + 2) !== ': ')
      throw new NotPlain()
    const item = readFlow(text, afterSpaces(text, colon + 1), depth + 1)
    put(value, quoted === undefined ? key : unquote(quoted), item.value)
    const then = nextItem(text, item.end, '}')
    if ('end' in then) return { value, end: then.end }
    next = then.next
  }
}

/** Returns the value after a key or dash on a line. */
function readInline(text: string): unknown {
  const [first = ''] = text
  if ('{["\''.includes(first)) {
    const { value, end } = readFlow(text, 0, 0)
    if (!nothingMore.test(text.slice(end))) throw new NotPlain()
    return value
  }
  const words = text.includes(' #') ? text.replace(/ +#.*$/, '') : text
  if (!/^[A-Za-z\d/]/.test(words) || words.includes(': ') || words.endsWith(':')) {
    throw new NotPlain()
  }
  return resolve(words)
}

/** Adds a key. Duplicate keys are left to the complete parser, which reports them. */
function put(values: Values, key: string, value: unknown): void {
  if (Object.hasOwn(values, key)) throw new NotPlain()
  values[key] = value
}

/** Splits a line into its key and the text after the colon. */
function splitLine(body: string): [key: string, rest: string] {
  const quoted = quotedKey.exec(body)?.[0]
  const colon = quoted?.length ?? body.indexOf(':')
  const key = body.slice(0, colon)
  const space = body[colon + 1]
  const isKey = colon > 0 && (space === undefined || space === ' ')
  if (!isKey || (quoted === undefined && !plainKey.test(key))) throw new NotPlain()
  return [quoted === undefined ? key : unquote(quoted), body.slice(afterSpaces(body, colon + 1))]
}

function readLines(text: string): PlainInventory {
  const line = new Cursor(text)
  const entries: { name: string; start: number }[] = []
  let end = text.length

  function readList(indent: number): unknown[] {
    const items: unknown[] = []
    for (; line.indent === indent && line.isItem; line.advance()) {
      items.push(readInline(line.body.slice(afterSpaces(line.body, 1))))
    }
    return items
  }

  /** Returns the value in the lines below a key that is indented by `indent` spaces. */
  function readBelow(indent: number, depth: number, isMachines: boolean): unknown {
    if (line.indent < indent) return null
    if (line.isItem) return readList(line.indent)
    if (line.indent === indent) return null
    const values = readMap(line.indent, depth + 1, isMachines)
    if (isMachines) end = line.start
    return values
  }

  function readMap(indent: number, depth: number, isMachines: boolean): Values {
    if (depth > maxDepth) throw new NotPlain()
    const values: Values = {}
    for (; line.indent === indent;) {
      const [key, rest] = splitLine(line.body)
      if (isMachines) entries.push({ name: key, start: line.start })
      line.advance()
      const isBelow = rest === '' || rest.startsWith('#')
      const below = depth === 0 && key === 'machines'
      put(values, key, isBelow ? readBelow(indent, depth, below) : readInline(rest))
    }
    if (line.indent > indent) throw new NotPlain()
    return values
  }

  const data = readMap(0, 0, false)
  if (line.start < text.length || Object.keys(data).length === 0) throw new NotPlain()
  return { data, entries, end }
}

/**
 * Reads the text of an inventory; undefined if the text requires the complete YAML parser, for example to report
 * errors.
 */
export function readPlainInventory(text: string): PlainInventory | undefined {
  if (unsupported.test(text)) return undefined
  try {
    return readLines(text)
  } catch (thrown) {
    if (thrown instanceof NotPlain) return undefined
    throw thrown
  }
}
