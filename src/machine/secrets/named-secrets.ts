import { hasMixedCase, isRandom, isUuid } from './randomness.ts'

/** The last word in the name of a secret. */
const lastWord = /passw(?:or)?d|passphrase|passcode|pwd|psk|pass|secret|token|credential|auth|key/gi

/** The text between the last word of a name and the value: the rest of the name, quotes, and a separator. */
const assignment =
  /(?:s|[-_]?\d{1,3}|[-_]base)?(?:\\?["']){0,2}[ \t]{0,8}(?::=|=>|[:=])[ \t]{0,8}/iy

/** The separator after a command-line option and in .netrc files. */
const gap = /[= \t]{1,8}/y

const quoted = /\\?(?:"([^"\n\\]{0,512})|'([^'\n\\]{0,512}))/y
const unquoted = /[^\s,;}\]&"'\\]{1,512}/y

/** Values that are not secrets even though their names suggest that they are: references, placeholders and settings. */
const placeholders: readonly RegExp[] = [
  /^(?:[$<{[%!@*(`=|>&~./]|\w{2,12}:\/\/|(?:file|env|arn|sha\d{1,3}):|(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-)/i, // references, paths, digests, public keys
  /^\w[\w.]{0,64}[([]/, // a function call
  /\.(?:pem|key|pub|txt|json|ya?ml|env|crt|conf)$/i, // a file name
  /^(?:true|false|null|none|yes|no|on|off|required|optional|disabled|enabled|unset|empty|random|locked|rotated|unknown|external|managed|stored|generated)$/i,
  /change.?me|example|placeholder|redacted|x{3}|\.{3}|…|\*{3}|your[-_ ]|todo|replace|passw|passphrase|secret|token|vault|prompt|environ|getenv|keychain|keyring|1password/i,
]

interface Value {
  readonly value: string
  /** Whether the text continues like a sentence after the value. */
  readonly isSentence: boolean
}

function valueAt(text: string, at: number): Value {
  quoted.lastIndex = at
  const [whole, double, single] = quoted.exec(text) ?? []
  if (whole !== undefined) return { value: (double ?? single ?? '').trim(), isSentence: false }
  unquoted.lastIndex = at
  const value = unquoted.exec(text)?.[0] ?? ''
  const next = text.slice(at + value.length, at + value.length + 4)
  return { value, isSentence: /^[a-z]*$/i.test(value) && /^,? [a-z]/i.test(next) }
}

/** Whether a value is the base64 encoding of `USER:PASSWORD`, as used by HTTP and registries (RFC 7617). */
export const isBasicAuth = (value: string): boolean =>
  /^[A-Za-z0-9+/_-]{8,512}={0,2}$/.test(value) &&
  /^[\x21-\x7e]{1,64}:[\x20-\x7e]{3,512}$/.test(Buffer.from(value, 'base64').toString('latin1'))

/** Words before `key` that mark a key as secret, and words that mark it as harmless. */
const secretKeyPrefix =
  /(?:api|access|secret|private|auth|account|encryption|encrypt|signing|sign|master|shared|license|webhook|app|admin|storage|subscription|service|session)[-_. ]?$/i
const harmlessKeyPrefix =
  /(?:public|pub|host|gpg|pgp|ssh|sort|primary|foreign|cache|partition|label|object|index)[-_. ]?$/i

interface Name {
  /** The part of the name before its last word. */
  readonly before: string
  readonly word: string
}

/** Whether the last word is a separate word in the name, as in `db_pass` and `dbPass` but not in `compass`. */
const isSeparateWord = ({ before, word }: Name): boolean =>
  /(?:^|[^A-Za-z])$/.test(before) || (/^[A-Z]/.test(word) && /[a-z]$/.test(before))

/** Whether the name and the value's length are those of a secret access key of AWS or a compatible service. */
const isSecretAccessKey = ({ before, word }: Name, value: string): boolean =>
  word.toLowerCase() === 'key' &&
  /secret[-_]?(?:access[-_]?)?$/i.test(before) &&
  /^[\w/+]{40}$/.test(value)

function isSecretKey(name: Name, value: string): boolean {
  if (harmlessKeyPrefix.test(name.before)) return false
  if (secretKeyPrefix.test(name.before)) return isRandom(value)
  const isBare = name.before === '' // a plain `key:` often holds a public key
  return (
    !isBare && isSeparateWord(name) && value.length >= 20 && hasMixedCase(value) && isRandom(value)
  )
}

function isSecret(name: Name, { value, isSentence }: Value): boolean {
  if (isSentence || placeholders.some((placeholder) => placeholder.test(value))) return false
  switch (name.word.toLowerCase()) {
    case 'auth':
      return isSeparateWord(name) && (isBasicAuth(value) || (value.length >= 20 && isRandom(value)))
    case 'key':
      return isSecretKey(name, value)
    case 'token':
      // a plain `token:` with a UUID is fleet's creation token
      return !(name.before === '' && isUuid(value)) && isRandom(value)
    case 'secret':
    case 'credential':
      return isRandom(value)
    case 'pass':
    case 'psk':
    case 'pwd':
      return isSeparateWord(name) && value.length >= 6
    default:
      return value.length >= 6
  }
}

const kinds: Readonly<Record<string, string>> = {
  auth: 'a login',
  credential: 'a credential',
  key: 'a secret key',
  passphrase: 'a passphrase',
  psk: 'a secret key',
  secret: 'a secret',
  token: 'a token',
}

/** The maximum length of a name before its last word, in characters. */
const maxNameLength = 64

/** Returns the part of a name before an offset. */
function nameBefore(text: string, offset: number): string {
  let start = offset
  while (offset - start < maxNameLength && /[\w.-]/.test(text[start - 1] ?? '')) start--
  return text.slice(start, offset)
}

/** Finds secrets by their names: `DB_PASSWORD: …`, `api_key = "…"`, `--token …`. */
export function* findNamed(
  text: string,
): Generator<{ readonly offset: number; readonly kind: string }> {
  for (const { 0: word, index } of text.matchAll(lastWord)) {
    const before = nameBefore(text, index)
    const isOption = before.startsWith('--')
    const isNetrc = / login \S{1,64} $/.test(text.slice(Math.max(0, index - 80), index))
    const separator = isOption || isNetrc ? gap : assignment
    separator.lastIndex = index + word.length
    if (!separator.test(text)) continue
    const name = { before: before.replace(/^-{1,2}/, ''), word }
    const value = valueAt(text, separator.lastIndex)
    const offset = index - before.length
    if (isSecretAccessKey(name, value.value)) yield { offset, kind: 'an AWS secret key' }
    else if (isSecret(name, value)) {
      yield { offset, kind: kinds[word.toLowerCase()] ?? 'a password' }
    }
  }
}
