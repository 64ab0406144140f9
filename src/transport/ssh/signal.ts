import { randomUUID } from 'node:crypto'
import { Transform } from 'node:stream'
import { shellQuote } from '../../os/shell-quote.ts'
import { loginShellLine } from '../command.ts'
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
 *
 * @param isCsh the login shell is csh, which has `setenv` in place of `export`
 */
export function markCommand(command: CommandLine, isCsh = false): MarkedCommand {
  const id = randomUUID()
  const words = 'shell' in command ? command.shell : `exec ${loginShellLine(command)}`
  const setVariable = isCsh ? `setenv FLEET_COMMAND ${id}` : `export FLEET_COMMAND=${id}`
  return {
    line: `${setVariable}; ${words}`,
    // Login shells such as fish do not know the language of sh.
    signalLine: (signal) => `exec sh -c ${shellQuote(signalScript(id, signal))}`,
  }
}

/** What csh prints of `export`, with a terminal or without, before it runs the command all the same. */
const complaint = /^export: Command not found\.\r?\n/
const longestComplaint = 'export: Command not found.\r\n'.length

/** An output without the complaint of csh about `export` at its beginning. Calls `found` where it was. */
export class WithoutComplaint extends Transform {
  #start: Buffer | undefined = Buffer.alloc(0)
  readonly #found: () => void

  constructor(found: () => void, highWaterMark: number) {
    super({ highWaterMark })
    this.#found = found
  }

  override _transform(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: null, chunk?: Buffer) => void,
  ): void {
    if (this.#start === undefined) return done(null, chunk)
    this.#start = Buffer.concat([this.#start, chunk])
    const text = this.#start.toString('latin1', 0, longestComplaint)
    if (!complaint.test(text) && 'export: Command not found.\r\n'.startsWith(text)) return done()
    done(null, this.#rest())
  }

  override _flush(done: (error?: null, chunk?: Buffer) => void): void {
    done(null, this.#rest())
  }

  #rest(): Buffer | undefined {
    const start = this.#start ?? Buffer.alloc(0)
    this.#start = undefined
    const match = complaint.exec(start.toString('latin1', 0, longestComplaint))
    if (match) this.#found()
    const rest = start.subarray(match?.[0].length ?? 0)
    return rest.length === 0 ? undefined : rest
  }
}

/** The shell first, which would go on or end by itself when what it waits for is gone. With brackets, so that it does not find itself. */
const signalScript = (id: string, signal: string): string =>
  `for found in $(grep -ls "[F]LEET_COMMAND=${id}" /proc/[0-9]*/cmdline /proc/[0-9]*/environ); do ` +
  `found=\${found#/proc/}; kill -s ${shellQuote(signal)} "\${found%/*}"; done`
