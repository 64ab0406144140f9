import { distance } from 'fastest-levenshtein'

/**
 * The candidate that a person most likely meant by a mistyped `word`, or none: at most one edit
 * for each three letters of the longer word (never less than one) counts as mistyped.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase()
  let best: string | undefined
  let fewest = Infinity
  for (const candidate of candidates) {
    const edits = distance(wanted, candidate.toLowerCase())
    const allowed = Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3))
    if (edits <= allowed && edits < fewest && edits < candidate.length) {
      best = candidate
      fewest = edits
    }
  }
  return best
}

/** ` (did you mean "web-1"?)` for the end of a message, or nothing. */
export function suggest(word: string, candidates: Iterable<string>): string {
  const meant = nearest(word, candidates)
  return meant === undefined ? '' : ` (did you mean ${JSON.stringify(meant)}?)`
}
