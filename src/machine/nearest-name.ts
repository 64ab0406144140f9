import { distance } from 'fastest-levenshtein'

/**
 * Returns the candidate that is closest to a mistyped `word`; undefined if none is close enough. One edit is allowed
 * for every three letters of the longer word, rounded up.
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

/**
 * Returns ` (did you mean "web-1"?)`, to be appended to a message, or an empty string if no candidate is close enough.
 */
export function suggest(word: string, candidates: Iterable<string>): string {
  const meant = nearest(word, candidates)
  return meant === undefined ? '' : ` (did you mean ${JSON.stringify(meant)}?)`
}
