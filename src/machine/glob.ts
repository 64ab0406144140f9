/** Whether a text has `*` or `?` in it. */
export const isGlob = (text: string): boolean => /[*?]/.test(text)

/**
 * Whether a pattern is all of a text: `*` stands for any characters, `?` for one. It goes back to the last `*` alone, which is
 * enough, so that no pattern takes longer than its length times that of the text. Patterns come from files that others write.
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
