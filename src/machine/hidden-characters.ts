/** Characters that are not shown, or change how others are shown: control, formatting and bidirectional ones, line separators. */
export const hiddenCharacter = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

/** The commonest of them, for a set in a pattern that JSON Schema has too, whose readers know no `\p{…}`. */
export const hiddenInPattern = String.raw`\u0000-\u001F\u007F-\u009F\u00AD\u061C\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF`

/** `U+202E`, the first hidden character of a text; undefined where there is none. */
export const findHidden = (text: string): string | undefined => {
  const [found] = hiddenCharacter.exec(text) ?? []
  const code = found?.codePointAt(0)
  return code === undefined ? undefined : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

/** A text without what {@link hiddenCharacter} finds, and of at most `most` characters: what a host says of itself. */
export const printable = (text: string, most: number): string =>
  text.slice(0, most).replaceAll(new RegExp(hiddenCharacter, 'gu'), ' ').trim()

/** The first text below a value, a key included, that has a hidden character: where it is, and the character. */
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
