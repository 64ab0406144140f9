/**
 * Matches words that do not need quotes in any shell. zsh expands words that begin with "=", and fish expands "%self".
 */
const plain = /^(?![=%])[A-Za-z0-9_@%+=:,./-]+$/

/**
 * Quotes one word for a POSIX shell (XCU 2.2.2), and for fish and csh. Use it for every value from a file, a host or a
 * user that is shown as part of a command. Backslashes and "!" are placed outside the single quotes, since fish reads
 * `\'` and `\\` as escapes between single quotes, and csh replaces "!" there.
 */
export const shellQuote = (word: string): string =>
  plain.test(word) ? word : `'${word.replaceAll(/[\\'!]/g, "'\\$&'")}'`

/**
 * Quotes one word of a command after `fleet ssh NAME`. The user's shell interprets the word first, then the host's
 * shell.
 */
export const quoteForHost = (word: string): string =>
  plain.test(word) ? word : shellQuote(shellQuote(word))
