const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const isUuid = (text: string): boolean => uuid.test(text)

/** A word of a name, with up to four digits, which may be a year. */
const namePart = /^(?:[a-z]{0,24}\d{0,4}|[A-Z]{1,24}\d{0,4}|[A-Z][a-z]{0,24}\d{0,4}|v\d{1,4})$/

/** Whether a text consists of words with separators, as names do: `web-tls-2024`. */
const isName = (text: string): boolean =>
  text.split(/[-_./:@ ]/).every((part) => namePart.test(part))

/** Shannon entropy, in bits per character. */
function entropyOf(text: string): number {
  const counts = new Map<string, number>()
  for (const one of text) counts.set(one, (counts.get(one) ?? 0) + 1)
  return [...counts.values()].reduce((sum, count) => {
    const share = count / text.length
    return sum - share * Math.log2(share)
  }, 0)
}

/**
 * Runs of lower-case letters have a mean length of 1.7 in random base64, and almost never more than 3. In camelCase
 * they are as long as words.
 */
const maxMeanRun = 3

/** Whether upper-case and lower-case letters alternate as in random text, not as in camelCase. */
export function hasMixedCase(text: string): boolean {
  const runs = text.match(/[a-z]{1,64}/g) ?? []
  const letters = runs.reduce((sum, run) => sum + run.length, 0)
  return /[A-Z]/.test(text) && runs.length > 0 && letters / runs.length <= maxMeanRun
}

/** Whether a value under the name of a secret looks random, and not like a name, a number or a word. */
export function isRandom(value: string): boolean {
  if (isUuid(value)) return true
  if (value.length < 8 || isName(value) || entropyOf(value) < 2.5) return false
  const isMixed = /\d/.test(value) && /[a-z]/i.test(value)
  return isMixed || (value.length >= 16 && hasMixedCase(value))
}

/** A stricter test than {@link isRandom}, for values without a name. */
export const isSurelyRandom = (value: string): boolean =>
  /\d/.test(value) && hasMixedCase(value) && entropyOf(value) >= 4
