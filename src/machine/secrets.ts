/** A secret found in a text. The secret itself is never kept, so that it cannot be printed. */
export interface FoundSecret {
  /** Where it begins, in UTF-16 units. */
  readonly offset: number
  /** What it is, to be named in a message: `a GitHub token`. */
  readonly kind: string
}

/** Formats that issuers document so that scanners can find them. */
const kinds: readonly (readonly [kind: string, pattern: RegExp])[] = [
  [
    'a private key',
    /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d/g,
  ],
  ['an AWS access key', /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g],
  [
    'an AWS secret key',
    /\b(?:aws_?)?secret_?(?:access_?)?key["']?\s*[:=]\s*["']?[\w/+]{40}(?![\w/+])/gi,
  ],
  ['an Azure client secret', /\b[\w.~-]{3}\dQ~[\w.~-]{31,34}/g],
  ['an Azure storage key', /AccountKey=[\w/+]{40,}/g],
  ['a GitHub token', /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})/g],
  ['a GitLab token', /\bgl(?:pat|rt|dt|cbt|ptt|soat)-[\w-]{20,}/g],
  ['a Slack token', /\bxox[abeoprs]-[\w-]{10,}|\bxapp-\d-[\w-]{10,}/g],
  ['a Docker Hub token', /\bdckr_(?:pat|oat)_[\w-]{20,}/g],
  ['an npm token', /\bnpm_[A-Za-z0-9]{36}\b/g],
  ['a Google API key', /\bAIza[\w-]{35}/g],
  ['a DigitalOcean token', /\bdo[opr]_v1_[a-f0-9]{64}\b/g],
  ['a Vault token', /\bhv[sb]\.[\w-]{24,}/g],
  ['a Tailscale key', /\btskey-[a-z]+-[\w-]{10,}/g],
  ['a JSON web token', /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/g],
  ['a password in a URL', /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@"']+:[^\s/@"']+@/gi],
]

/** The secrets that `text` holds, in the order of the text. */
export function findSecrets(text: string): readonly FoundSecret[] {
  const found = kinds.flatMap(([kind, pattern]) =>
    Array.from(text.matchAll(pattern), (match) => ({ offset: match.index, kind })),
  )
  return found.sort((a, b) => a.offset - b.offset)
}

const tellingKey = /pass|secret|token|credential|private|key$/i

/** Whether a value, or the key that it stands under, makes it unfit to be printed. */
export const looksSecret = (value: string, key = ''): boolean =>
  tellingKey.test(key) || /[\w+/=~-]{20}/.test(value) || findSecrets(value).length > 0
