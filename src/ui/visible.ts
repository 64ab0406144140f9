/**
 * Characters that control a terminal or are invisible: control characters except tab and line feed, formatting
 * characters (bidirectional and zero-width ones included), other default-ignorable characters, line and paragraph
 * separators, unpaired surrogates, and noncharacters.
 */
const hidden =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\p{Cf}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\p{Cs}\p{Noncharacter_Code_Point}]/gu

/** A fast check for text of printable ASCII, tabs and line feeds. */
const isPlain = (text: string): boolean => /^[\t\n -~]*$/.test(text)

/** A fast check for one line of printable ASCII. */
const isPlainLine = (text: string): boolean => /^[ -~]*$/.test(text)

/**
 * Returns the escape sequence for a character, as used in JSON and JavaScript, so that JSON stays valid and keeps its
 * meaning.
 */
const escaped = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('')

/**
 * Returns the text with control and invisible characters replaced by escape sequences (`\u001b`). Line feeds and tabs
 * are kept.
 */
export const visible = (text: string): string =>
  isPlain(text) ? text : text.replaceAll(hidden, escaped)

/** Returns {@link visible} text on one line, shortened to `length` characters. */
export function oneLine(text: string, length = Infinity): string {
  const line = isPlainLine(text) ? text : visible(text.replaceAll(/[\t\r\n]+/g, ' '))
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`
}

/** Matches the sequences for colors and other text attributes (ECMA-48, SGR), which do not move the cursor. */
// oxlint-disable-next-line no-control-regex
const coloring = /(\u001B\[[\d;:]*m)/

/**
 * Returns {@link visible} text that keeps its colors and resets them at the end, so that adjacent text is not affected.
 */
export function onlyColors(line: string): string {
  if (isPlain(line)) return line
  const parts = line.split(coloring)
  const shown = parts.map((part, index) => (index % 2 === 1 ? part : visible(part))).join('')
  return parts.length > 1 ? `${shown}\u001B[0m` : shown
}
