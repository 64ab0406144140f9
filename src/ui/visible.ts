/**
 * Characters that a terminal acts on instead of showing them, or that nobody sees: controls but tab and line feed, formatting
 * (bidirectional and zero-width ones too), other characters without a shape of their own, line and paragraph separators, half
 * surrogate pairs, and code points that are no characters.
 */
const hidden =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\p{Cf}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\p{Cs}\p{Noncharacter_Code_Point}]/gu

/** Text of printable ASCII and line ends needs no look at Unicode. */
const isPlain = (text: string): boolean => /^[\t\n -~]*$/.test(text)

/** As JSON and JavaScript escape it: what is JSON stays that, and means the same. */
const escaped = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('')

/** The text with escapes (`\u001b`) for all that a terminal would act on or not show; line feeds and tabs stay. */
export const visible = (text: string): string =>
  isPlain(text) ? text : text.replaceAll(hidden, escaped)

/** {@link visible} text on one line, shortened to `length` characters if that is told. */
export function oneLine(text: string, length = Infinity): string {
  const line = visible(text.replaceAll(/[\t\r\n]+/g, ' '))
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`
}

/** Colours and their like (ECMA-48, SGR): they change how text looks, and neither its place nor the terminal. */
// oxlint-disable-next-line no-control-regex
const coloring = /(\u001B\[[\d;:]*m)/

/** {@link visible} text in which colours stay, and end with it: for a line that shares a terminal with others' lines. */
export function onlyColors(line: string): string {
  if (isPlain(line)) return line
  const parts = line.split(coloring)
  const shown = parts.map((part, index) => (index % 2 === 1 ? part : visible(part))).join('')
  return parts.length > 1 ? `${shown}\u001B[0m` : shown
}
