import { isBasicAuth } from './named-secrets.ts'
import { isSurelyRandom } from './randomness.ts'

type Found = { readonly offset: number; readonly kind: string }

/** The maximum length, in characters, of base64 that is decoded. Longer base64 is considered to be a file. */
const maxEncodedLength = 2 ** 16

const publicKey = /\b(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[\w@.-]{3,60}\s{1,4}AAAA[\w+/=]{0,2000}/g

const blank = (text: string): string => ' '.repeat(text.length)

/** Replaces PEM blocks and public keys, which look like tokens, with spaces. Private keys are found elsewhere. */
function withoutKeys(text: string): string {
  const [first = '', ...blocks] = text.split('-----BEGIN ')
  const rest = blocks.map((block) => {
    const end = block.indexOf('-----END ')
    return end < 0 ? block : blank(block.slice(0, end)) + block.slice(end)
  })
  return [first, ...rest].join(blank('-----BEGIN ')).replace(publicKey, blank)
}

/** Words that suggest that a line contains a digest or an ID rather than a secret. */
const mentionsDigest =
  /sha-?\d|digest|checksum|md5|hash|commit|rev|fingerprint|image|layer|container|etag|tree|blob|\bid\b/i

/** Returns up to 120 characters of the line on either side of a range. */
const around = (text: string, from: number, to: number): string => {
  const [before = ''] = /[^\n]{0,120}$/.exec(text.slice(Math.max(0, from - 120), from)) ?? []
  const [after = ''] = /^[^\n]{0,120}/.exec(text.slice(to, to + 120)) ?? []
  return `${before} ${after}`
}

/** Returns the kind of a credential that has no distinctive prefix, judging by its length and alphabet. */
function kindOf(run: string): string | undefined {
  if (run.length === 40 && /^[\w/+]+$/.test(run) && isSurelyRandom(run)) return 'an AWS secret key'
  if (run.length === 64 && /^[0-9a-f]+$/.test(run)) return 'a key of 64 hexadecimal digits'
  if (run.length === 64 && /^[A-Za-z0-9]+$/.test(run) && isSurelyRandom(run)) return 'an API token'
  return run.length === 88 && run.endsWith('==') && isSurelyRandom(run)
    ? 'an Azure storage key'
    : undefined
}

interface Run {
  readonly offset: number
  readonly run: string
}

/**
 * A possible token or line of base64. The length is limited, because an unbounded expression exhausts the stack on a
 * line of several megabytes.
 */
const longRun = /[\w/+=.~-]{16,65536}/g

function* findBare(text: string, runs: readonly Run[]): Generator<Found> {
  for (const { offset, run } of runs) {
    const kind = run.length < 40 || run.length > 89 ? undefined : kindOf(run.replace(/\.$/, ''))
    if (kind === undefined || mentionsDigest.test(around(text, offset, offset + run.length)))
      continue
    yield { offset, kind }
  }
}

/** Whether the text between two runs consists only of a line break and indentation, as within wrapped base64. */
const isLineEnd = (between: string): boolean =>
  /^\s{0,200}$/.test(between) && between.includes('\n')

/**
 * Returns the start of the base64 at the end of a run. Scans from the end, because a regular expression would try every
 * start.
 */
function startOfEncoded(run: string): number | undefined {
  const end = run.length - (/={0,2}$/.exec(run.slice(-2))?.[0].length ?? 0)
  let start = end
  while (start > 0 && /[A-Za-z0-9+/]/.test(run.charAt(start - 1))) start -= 1
  return end - start >= 16 ? start : undefined
}

/** Joins base64 that is wrapped over several lines. */
function joinLines(text: string, runs: readonly Run[]): readonly Run[] {
  const lines = runs.flatMap(({ offset, run }) => {
    const start = startOfEncoded(run)
    return start === undefined ? [] : [{ offset: offset + start, run: run.slice(start) }]
  })
  const joined: { offset: number; run: string; end: number }[] = []
  for (const { offset, run } of lines) {
    const last = joined.at(-1)
    const end = offset + run.length
    if (last !== undefined && isLineEnd(text.slice(last.end, offset))) {
      last.run += run
      last.end = end
    } else joined.push({ offset, run, end })
  }
  return joined
}

/** Finds secrets inside base64. */
function* findEncoded(
  text: string,
  runs: readonly Run[],
  findIn: (decoded: string) => readonly Found[],
): Generator<Found> {
  for (const { offset, run } of joinLines(text, runs)) {
    const decoded = Buffer.from(run.slice(0, maxEncodedLength), 'base64').toString('latin1')
    if (!/^[\t\n\r\x20-\x7e]{10,}$/.test(decoded.slice(0, -2))) continue
    const [found] = findIn(decoded)
    if (found !== undefined) yield { offset, kind: `${found.kind} in base64` }
  }
}

const userInfo = /^[^\s/:@"'`<>\\[\]]{0,128}:[^\s/@"'`<>\\]{1,256}@/
const placeholder = /^[^:]{0,128}:(?:[$%{*<]|x{3}|pass(?:word)?@|password|secret@)/i

/** Finds passwords in URLs. */
function* findUrls(text: string): Generator<Found> {
  for (let at = text.indexOf('://'); at >= 0; at = text.indexOf('://', at + 3)) {
    const rest = text.slice(at + 3, at + 400)
    if (!userInfo.test(rest) || placeholder.test(rest)) continue
    const [scheme = ''] =
      /[a-z][a-z0-9+.-]{0,30}$/i.exec(text.slice(Math.max(0, at - 31), at)) ?? []
    if (scheme !== '') yield { offset: at - scheme.length, kind: 'a password in a URL' }
  }
}

const authorization = /\b(bearer|basic|token)[ \t]{1,4}([\w.~+/=-]{16,4000})/gi

/** Finds the values of `Authorization` headers and of `curl --user` options. */
function* findLogins(text: string): Generator<Found> {
  for (const { 1: scheme = '', 2: value = '', index } of text.matchAll(authorization)) {
    const isLogin =
      scheme.toLowerCase() === 'basic'
        ? isBasicAuth(value)
        : /\d/.test(value) && /[a-z]/i.test(value)
    if (isLogin) yield { offset: index, kind: 'an Authorization header' }
  }
  for (const { index } of text.matchAll(
    /\bcurl\b[^\n]{0,300}? (?:-u|--user)[ =]["']?[\w.@-]{1,64}:[^\s$"'<{]{4,}/g,
  )) {
    yield { offset: index, kind: 'a password' }
  }
}

/** Finds secrets that have neither a telling name nor a known prefix. `findIn` searches decoded base64. */
export function findUnnamed(
  text: string,
  findIn: (decoded: string) => readonly Found[],
): readonly Found[] {
  const rest = withoutKeys(text)
  const runs = Array.from(rest.matchAll(longRun), ({ 0: run, index }) => ({ offset: index, run }))
  return [
    ...findBare(rest, runs),
    ...findEncoded(rest, runs, findIn),
    ...findUrls(text),
    ...findLogins(text),
  ]
}
