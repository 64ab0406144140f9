import { shellQuote } from '../os/shell-quote.ts'
import type { CommandLine } from './transport.ts'

/** Formats a command for a POSIX shell. */
export const shellLine = (command: CommandLine): string =>
  'shell' in command ? command.shell : command.map(shellQuote).join(' ')
