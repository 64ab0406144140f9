/**
 * Characters that are invisible or change how other characters are displayed: control, format, bidirectional, line
 * separators.
 */
export const hiddenCharacter = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/**
 * The most common hidden characters, as part of a character class in JSON Schema, whose readers do not support `\p{…}`.
 */
export const hiddenInPattern = String.raw`\u0000-\u001F\u007F-\u009F\u00AD\u061C\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF`

/** The first hidden character of a text as `U+202E`; undefined if there is none. */
export const findHidden = (text: string): string | undefined => {
  const [found] = hiddenCharacter.exec(text) ?? []
  const code = found?.codePointAt(0)
  return code === undefined ? undefined : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

/** Makes a text from a host safe to print: hidden characters become spaces, and it is cut to `most` characters. */
export const printable = (text: string, most: number): string =>
  text.slice(0, most).replaceAll(new RegExp(hiddenCharacter, 'gu'), ' ').trim()

/** Finds the first hidden character in the strings and keys of a value, with its path. */
export function findHiddenIn(
  value: unknown,
  path: readonly PropertyKey[] = [],
): { readonly path: readonly PropertyKey[]; readonly character: string } | undefined {
  if (typeof value === 'string') {
    const character = findHidden(value)
    return character === undefined ? undefined : { path, character }
  }
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, item] of Object.entries(value)) {
    const found = findHiddenIn(key, path) ?? findHiddenIn(item, [...path, key])
    if (found !== undefined) return found
  }
  return undefined
}
