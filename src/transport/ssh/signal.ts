import { randomUUID } from 'node:crypto'
import { Transform } from 'node:stream'
import { shellQuote } from '../../os/shell-quote.ts'
import { loginShellLine } from '../command.ts'
import type { CommandLine } from '../transport.ts'

/** A command whose processes can be found on its host. */
export interface MarkedCommand {
  readonly line: string
  /**
   * Returns a line that, when run on the host, sends a signal, such as `INT`, to the command and all processes that it
   * started.
   */
  readonly signalLine: (signal: string) => string
}

/**
 * Marks a command with an environment variable, which all processes that it starts inherit. The login shell itself is
 * found by its command line, which contains the variable: Linux shows both in /proc. This is needed for commands that
 * root runs: sshd delivers signals (RFC 4254 6.9) to the commands of other users, but refuses to do so for root, whose
 * sessions run without privilege separation (`session_signal_req` in OpenSSH's session.c). Setting the variable with
 * `env` would start two more programs, and would cost a host as much as the rest of a short command.
 *
 * @param isCsh whether the login shell is csh, which has `setenv` instead of `export`
 */
export function markCommand(command: CommandLine, isCsh = false): MarkedCommand {
  const id = randomUUID()
  const words = 'shell' in command ? command.shell : `exec ${loginShellLine(command)}`
  const setVariable = isCsh ? `setenv FLEET_COMMAND ${id}` : `export FLEET_COMMAND=${id}`
  return {
    line: `${setVariable}; ${words}`,
    // Login shells such as fish do not understand the syntax of sh.
    signalLine: (signal) => `exec sh -c ${shellQuote(signalScript(id, signal))}`,
  }
}

/** The error that csh prints about `export`, with or without a terminal. csh runs the command anyway. */
const cshError = /^export: Command not found\.\r?\n/
const cshErrorLength = 'export: Command not found.\r\n'.length

/** Removes csh's error about `export` from the beginning of an output. Calls `found` if the error was there. */
export class WithoutCshError extends Transform {
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
    const text = this.#start.toString('latin1', 0, cshErrorLength)
    if (!cshError.test(text) && 'export: Command not found.\r\n'.startsWith(text)) return done()
    done(null, this.#rest())
  }

  override _flush(done: (error?: null, chunk?: Buffer) => void): void {
    done(null, this.#rest())
  }

  #rest(): Buffer | undefined {
    const start = this.#start ?? Buffer.alloc(0)
    this.#start = undefined
    const match = cshError.exec(start.toString('latin1', 0, cshErrorLength))
    if (match) this.#found()
    const rest = start.subarray(match?.[0].length ?? 0)
    return rest.length === 0 ? undefined : rest
  }
}

/**
 * Returns a script that signals the login shell first, since the shell could continue or exit once the program that it
 * waits for is gone, and then signals the command's other processes. The brackets keep grep from finding the script
 * itself.
 */
const signalScript = (id: string, signal: string): string =>
  `for found in $(grep -ls "[F]LEET_COMMAND=${id}" /proc/[0-9]*/cmdline /proc/[0-9]*/environ); do ` +
  `found=\${found#/proc/}; kill -s ${shellQuote(signal)} "\${found%/*}"; done`
