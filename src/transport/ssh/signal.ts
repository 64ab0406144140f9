import { randomUUID } from 'node:crypto'
import { shellQuote } from '../../os/shell-quote.ts'
import { shellLine } from '../command.ts'
import type { CommandLine } from '../transport.ts'

/** A command that can be found again on its host. */
export interface MarkedCommand {
  readonly line: string
  /** Run on the host, sends a signal (`INT`) to the command and all that it started. */
  readonly signalLine: (signal: string) => string
}

/**
 * Marks a command by a variable in the environment of all that it starts, and the shell that reads it by its own words:
 * Linux shows both in /proc. This is for root's commands: sshd delivers signals (RFC 4254 6.9) to everybody else's, but
 * refuses for root, whose session runs without privilege separation (`session_signal_req` of OpenSSH's session.c).
 * A variable that `env` sets would take two more programs, which costs a host as much as the rest of a short command.
 */
export function markCommand(command: CommandLine): MarkedCommand {
  const id = randomUUID()
  const words = 'shell' in command ? command.shell : `exec ${shellLine(command)}`
  return {
    line: `export FLEET_COMMAND=${id}; ${words}`,
    // Login shells such as fish do not know the language of sh.
    signalLine: (signal) => `exec sh -c ${shellQuote(signalScript(id, signal))}`,
  }
}

/** The shell first, which would go on or end by itself when what it waits for is gone. With brackets, so that it does not find itself. */
const signalScript = (id: string, signal: string): string =>
  `for found in $(grep -ls "[F]LEET_COMMAND=${id}" /proc/[0-9]*/cmdline /proc/[0-9]*/environ); do ` +
  `found=\${found#/proc/}; kill -s ${shellQuote(signal)} "\${found%/*}"; done`
