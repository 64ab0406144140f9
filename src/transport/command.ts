import { constants } from 'node:os'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { shellQuote } from '../os/shell-quote.ts'
import type { CommandLine, ExitStatus } from './transport.ts'

/** Formats a command for a POSIX shell. */
export const shellLine = (command: CommandLine): string =>
  'shell' in command ? command.shell : command.map(shellQuote).join(' ')

/** Characters that csh does not read literally between single quotes. */
const notLiteral = /[\n\r!]/

/**
 * Formats a command for any login shell: sh, csh or fish. csh does not allow line breaks in quotes and expands "!"
 * there. A command with these characters is encoded; an sh process decodes it and then replaces itself with the
 * program.
 */
export function loginShellLine(command: CommandLine): string {
  const line = shellLine(command)
  if ('shell' in command || !command.some((word) => notLiteral.test(word))) return line
  const encoded = line
    .replaceAll('\\', String.raw`\0134`)
    .replaceAll('\n', String.raw`\n`)
    .replaceAll('\r', String.raw`\r`)
    .replaceAll('!', String.raw`\0041`)
  return `sh -c 'eval "exec $(printf %b "$1")"' sh ${shellQuote(encoded)}`
}

/** Returns the exit code as a shell reports it: for a signal, 128 plus its number (POSIX 2.8.2). */
export function exitCodeOf(status: ExitStatus): number {
  if ('code' in status) return status.code
  const number = constants.signals[`SIG${status.signal}` as NodeJS.Signals]
  return 128 + (number ?? 0)
}

/** Resolves when the reader of a stream has read all data, or immediately if there is no reader. */
export async function outputDelivered(stream: Readable): Promise<void> {
  if (stream.readableFlowing === null) return
  await finished(stream).catch(() => {}) // the reader may have closed the stream
}
