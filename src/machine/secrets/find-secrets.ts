import { shapes, tokenFormats } from './formats.ts'
import { findNamed } from './named-secrets.ts'
import { findUnnamed } from './unnamed-secrets.ts'

/** A secret that was found in a text. The secret itself is not stored, so it cannot be printed by accident. */
export interface FoundSecret {
  /** The offset of the start, in UTF-16 code units. */
  readonly offset: number
  /** The kind of secret, for messages: `a GitHub token`. */
  readonly kind: string
}

/** Whether a word begins at an offset. An escape sequence such as `\n` in a quoted text is not part of a word. */
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
 * A word that is long enough to be a token: a token has at least 14 characters. The length is also limited, because an
 * unbounded expression exhausts the stack on a line of several megabytes.
 */
const longRun = /[^\s"'`]{14,65536}/g

/**
 * Long words that inventories contain and that are harmless: the bodies of public keys, fingerprints and creation
 * tokens.
 */
const harmless =
  /^(?:AAAA[\w+/=]*|SHA256:[\w+/]{43}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[\],}]*$/

/** Runs {@link findFormats} only on the long words. This is faster, because most words in an inventory are short. */
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

/** The maximum number of nested layers of base64 that are decoded. */
const maxLayers = 3

/**
 * Finds the secrets in a text of any kind (YAML, shell, environment file, JSON). Returns at most one secret per line,
 * in the order of the text. Runs in linear time.
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
      best = one.rank // for each line, the most specific kind is reported
      found[found.length - 1] = one.found
    }
  }
  return found
}

const secretKeyName = /pass|secret|token|credential|private|key$/i

/** Whether a value must not be printed, judging by the value itself and by its key. */
export const looksSecret = (value: string, key = ''): boolean =>
  secretKeyName.test(key) || /[\w+/=~-]{20}/.test(value) || findSecrets(value).length > 0
