/** What every shell takes as it is. zsh replaces a word that begins with an equals sign. */
const plain = /^(?!=)[A-Za-z0-9_@%+=:,./-]+$/

/**
 * Quotes one word for a POSIX shell (XCU 2.2.2). Whatever comes from a file, a host or a person and is shown as part of a
 * command to type goes through this.
 */
export const shellQuote = (word: string): string =>
  plain.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
