const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const isUuid = (text: string): boolean => uuid.test(text)

/** A word in a name. It may end with up to four digits, such as a year. */
const namePart = /^(?:[a-z]{0,24}\d{0,4}|[A-Z]{1,24}\d{0,4}|[A-Z][a-z]{0,24}\d{0,4}|v\d{1,4})$/

/** Whether a text consists of words and separators, as names do: `web-tls-2024`. */
const isName = (text: string): boolean =>
  text.split(/[-_./:@ ]/).every((part) => namePart.test(part))

/** Returns the Shannon entropy of a text, in bits per character. */
function entropyOf(text: string): number {
  const counts = new Map<string, number>()
  for (const one of text) counts.set(one, (counts.get(one) ?? 0) + 1)
  return [...counts.values()].reduce((sum, count) => {
    const share = count / text.length
    return sum - share * Math.log2(share)
  }, 0)
}

/**
 * The maximum mean length of runs of lowercase letters in random text. In random base64, it is 1.7 on average, and
 * almost never above 3. In camelCase, runs are as long as words.
 */
const maxMeanRun = 3

/** Whether uppercase and lowercase letters alternate as in random text and not as in camelCase. */
export function hasMixedCase(text: string): boolean {
  const runs = text.match(/[a-z]{1,64}/g) ?? []
  const letters = runs.reduce((sum, run) => sum + run.length, 0)
  return /[A-Z]/.test(text) && runs.length > 0 && letters / runs.length <= maxMeanRun
}

/** Whether a value whose name suggests a secret looks random, rather than like a name, a number or a word. */
export function isRandom(value: string): boolean {
  if (isUuid(value)) return true
  if (value.length < 8 || isName(value) || entropyOf(value) < 2.5) return false
  const isMixed = /\d/.test(value) && /[a-z]/i.test(value)
  return isMixed || (value.length >= 16 && hasMixedCase(value))
}

/** A stricter test than {@link isRandom}, for values that have no name. */
export const isSurelyRandom = (value: string): boolean =>
  /\d/.test(value) && hasMixedCase(value) && entropyOf(value) >= 4
