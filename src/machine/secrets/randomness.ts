const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const isUuid = (text: string): boolean => uuid.test(text)

/** A word or a number of a name; not more than four digits, which may be a year. */
const namePart = /^(?:[a-z]{0,24}\d{0,4}|[A-Z]{1,24}\d{0,4}|[A-Z][a-z]{0,24}\d{0,4}|v\d{1,4})$/

/** Whether it is words with separators between, as names are: `web-tls-2024`. */
const isName = (text: string): boolean =>
  text.split(/[-_./:@ ]/).every((part) => namePart.test(part))

/** Bits for each character (Shannon). */
function entropyOf(text: string): number {
  const counts = new Map<string, number>()
  for (const one of text) counts.set(one, (counts.get(one) ?? 0) + 1)
  return [...counts.values()].reduce((sum, count) => {
    const share = count / text.length
    return sum - share * Math.log2(share)
  }, 0)
}

/** In base64 by chance, small letters stand 1.7 in a row, and hardly ever 3 on average; in camelCase, as many as a word has. */
const longestMeanRun = 3

/** Whether letters of both cases stand as chance puts them, and not as words do in camelCase. */
export function hasMixedCase(text: string): boolean {
  const runs = text.match(/[a-z]{1,64}/g) ?? []
  const letters = runs.reduce((sum, run) => sum + run.length, 0)
  return /[A-Z]/.test(text) && runs.length > 0 && letters / runs.length <= longestMeanRun
}

/** Whether a value that has the name of a secret was made by chance: it is no name, no number and no word. */
export function isRandom(value: string): boolean {
  if (isUuid(value)) return true
  if (value.length < 8 || isName(value) || entropyOf(value) < 2.5) return false
  const isMixed = /\d/.test(value) && /[a-z]/i.test(value)
  return isMixed || (value.length >= 16 && hasMixedCase(value))
}

/** Whether a value without a name can only have been made by chance. */
export const isSurelyRandom = (value: string): boolean =>
  /\d/.test(value) && hasMixedCase(value) && entropyOf(value) >= 4
