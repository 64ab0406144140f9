import { shapes, tokenFormats } from './formats.ts'
import { findNamed } from './named-secrets.ts'
import { findUnnamed } from './unnamed-secrets.ts'

/** A secret found in a text. The secret itself is not stored, so that it cannot be printed. */
export interface FoundSecret {
  /** The start, in UTF-16 code units. */
  readonly offset: number
  /** The kind of secret, for messages: `a GitHub token`. */
  readonly kind: string
}

/** Whether a word begins at an offset. An escape such as `\n` in a quoted text does not belong to the word. */
const beginsWord = (text: string, offset: number): boolean =>
  !/[A-Za-z0-9_]/.test(text[offset - 1] ?? ' ') || /^\\[nrt]$/.test(text.slice(offset - 2, offset))

function* findFormats(text: string): Generator<FoundSecret> {
  for (const { kind, starts, rest } of tokenFormats) {
    for (const start of starts) {
      for (let at = text.indexOf(start); at >= 0; at = text.indexOf(start, at + start.length)) {
        rest.lastIndex = at + start.length
        if (beginsWord(text, at) && rest.test(text)) yield { offset: at, kind }
      }
    }
  }
  for (const [kind, needle, shape] of shapes) {
    if (!text.includes(needle)) continue
    for (const { index } of text.matchAll(shape)) yield { offset: index, kind }
  }
}

/**
 * A word long enough for a token, which has at least 14 characters. The length is bounded: an unbounded expression
 * exhausts the stack on a line of several megabytes.
 */
const longRun = /[^\s"'`]{14,65536}/g

/** Harmless long words that inventories contain: bodies of public keys, fingerprints, creation tokens. */
const harmless =
  /^(?:AAAA[\w+/=]*|SHA256:[\w+/]{43}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[\],}]*$/

/** Runs {@link findFormats} on the long words only, which is faster: most words of an inventory are short. */
function* findTokens(text: string): Generator<FoundSecret> {
  const runs = [...text.matchAll(longRun)].filter(({ 0: run }) => !harmless.test(run))
  let position = 0
  const starts = runs.map(({ 0: run }) => {
    const start = position
    position += run.length + 1
    return start
  })
  let current = 0
  const found = [...findFormats(runs.map(({ 0: run }) => run).join(' '))]
  for (const { offset, kind } of found.sort((a, b) => a.offset - b.offset)) {
    while ((starts[current + 1] ?? Infinity) <= offset) current++
    yield { offset: (runs[current]?.index ?? 0) + offset - (starts[current] ?? 0), kind }
  }
}

const privateKey = /BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY/g

function* findPrivateKeys(text: string): Generator<FoundSecret> {
  if (!text.includes('PRIVATE KEY')) return
  for (const { index } of text.matchAll(privateKey)) yield { offset: index, kind: 'a private key' }
}

/** How many layers of nested base64 are decoded. */
const maxLayers = 3

/**
 * Finds the secrets in a text of any kind (YAML, shell, environment files, JSON): at most one per line, in the order of
 * the text. Runs in linear time.
 */
export function findSecrets(text: string, layers = maxLayers): readonly FoundSecret[] {
  const decoded = (inner: string): readonly FoundSecret[] =>
    layers > 1 ? findSecrets(inner, layers - 1) : []
  const all = [
    ...findPrivateKeys(text),
    ...findTokens(text),
    ...findUnnamed(text, decoded),
    ...findNamed(text),
  ]
  const ranked = all.map((found, rank) => ({ found, rank }))
  const found: FoundSecret[] = []
  let [lineEnd, best] = [-1, 0]
  for (const one of ranked.sort((a, b) => a.found.offset - b.found.offset)) {
    if (one.found.offset > lineEnd) {
      const end = text.indexOf('\n', one.found.offset)
      ;[lineEnd, best] = [end < 0 ? text.length : end, one.rank]
      found.push(one.found)
    } else if (one.rank < best) {
      best = one.rank // the most specific kind of a line is reported
      found[found.length - 1] = one.found
    }
  }
  return found
}

const secretKeyName = /pass|secret|token|credential|private|key$/i

/** Whether a value must not be printed, judging by the value and its key. */
export const looksSecret = (value: string, key = ''): boolean =>
  secretKeyName.test(key) || /[\w+/=~-]{20}/.test(value) || findSecrets(value).length > 0
