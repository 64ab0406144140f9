import type { CommandLine } from './transport.ts'

const plain = /^[A-Za-z0-9_@%+=:,./-]+$/

/** Quotes one word for a POSIX shell (XCU 2.2.2). */
export const quoteWord = (word: string): string =>
  plain.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

/** The text that makes a POSIX shell run `command`. */
export const shellLine = (command: CommandLine): string =>
  'shell' in command ? command.shell : command.map(quoteWord).join(' ')
