/**
 * Characters that are invisible or change how other characters are displayed: control and format characters (including
 * bidirectional ones), unpaired surrogates, and line and paragraph separators.
 */
export const hiddenCharacter = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/**
 * The most common hidden characters, for a character class in the JSON Schema. Programs that read the schema do not
 * support `\p{…}`.
 */
export const hiddenInPattern = String.raw`\u0000-\u001F\u007F-\u009F\u00AD\u061C\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF`

/** Returns the first hidden character in a text, in the form `U+202E`; undefined if there is none. */
export const findHidden = (text: string): string | undefined => {
  const [found] = hiddenCharacter.exec(text) ?? []
  const code = found?.codePointAt(0)
  return code === undefined ? undefined : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

/**
 * Makes a text from a host safe to print: replaces hidden characters with spaces, and truncates the text to `most`
 * characters.
 */
export const printable = (text: string, most: number): string =>
  text.slice(0, most).replaceAll(new RegExp(hiddenCharacter, 'gu'), ' ').trim()

/** Returns the first hidden character in the strings and keys of a value, and its path; undefined if there is none. */
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
