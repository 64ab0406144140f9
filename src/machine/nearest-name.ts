import { distance } from 'fastest-levenshtein'

/**
 * The candidate that is closest to a mistyped `word`; undefined if none is close. At most one edit is allowed for every
 * three letters, rounded up, of the longer word.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase()
  let best: string | undefined
  let fewest = Infinity
  for (const candidate of candidates) {
    const edits = distance(wanted, candidate.toLowerCase())
    const allowed = Math.ceil(Math.max(word.length, candidate.length) / 3)
    if (edits <= allowed && edits < fewest && edits < candidate.length) {
      best = candidate
      fewest = edits
    }
  }
  return best
}

/** ` (did you mean "web-1"?)` for the end of a message, or an empty string. */
export function suggest(word: string, candidates: Iterable<string>): string {
  const meant = nearest(word, candidates)
  return meant === undefined ? '' : ` (did you mean ${JSON.stringify(meant)}?)`
}
