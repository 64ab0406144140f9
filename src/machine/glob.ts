/** Whether a text contains `*` or `?`. */
export const isGlob = (text: string): boolean => /[*?]/.test(text)

/**
 * Whether a pattern matches a whole text: `*` matches any number of characters, `?` matches one. Backtracks only to the
 * last `*`, so the time is at most proportional to pattern length times text length. This matters because patterns come
 * from files that other users can write.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let [at, inText] = [0, 0]
  let [star, resume] = [-1, 0]
  while (inText < text.length) {
    const wanted = pattern[at]
    if (wanted === '*') {
      star = at
      resume = inText
      at += 1
    } else if (wanted !== undefined && (wanted === '?' || wanted === text[inText])) {
      at += 1
      inText += 1
    } else if (star >= 0) {
      at = star + 1
      resume += 1
      inText = resume
    } else return false
  }
  while (pattern[at] === '*') at += 1
  return at === pattern.length
}
