import { shellQuote } from '../os/shell-quote.ts'
import type { CommandLine } from './transport.ts'

/** The text that makes a POSIX shell run `command`. */
export const shellLine = (command: CommandLine): string =>
  'shell' in command ? command.shell : command.map(shellQuote).join(' ')
