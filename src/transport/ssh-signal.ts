import { randomUUID } from 'node:crypto'
import { quoteWord, shellLine } from './command-line.ts'
import type { CommandLine } from './transport.ts'

/** A command that can be found again on its host. */
export interface MarkedCommand {
  readonly line: string
  /** Run on the host, sends a signal (`INT`) to the command and all that it started. */
  readonly signalLine: (signal: string) => string
}

/**
 * Marks a command by a variable in its environment, which Linux shows in /proc. This is for root's
 * commands: sshd delivers signals (RFC 4254 6.9) to everybody else's, but refuses for root, whose session
 * runs without privilege separation (`session_signal_req` of OpenSSH's session.c).
 */
export function markCommand(command: CommandLine): MarkedCommand {
  const mark = `FLEET_COMMAND=${randomUUID()}`
  const words = 'shell' in command ? `"$SHELL" -c ${quoteWord(command.shell)}` : shellLine(command)
  return {
    line: `exec env ${mark} ${words}`,
    signalLine: (signal) =>
      `for found in $(grep -ls ${mark} /proc/[0-9]*/environ); do ` +
      `found=\${found#/proc/}; kill -s ${quoteWord(signal)} "\${found%/environ}"; done`,
  }
}
