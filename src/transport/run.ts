import { text } from 'node:stream/consumers'
import { exitCodeOf } from './exit-code.ts'
import { startProgram } from './start-program.ts'
import type { CommandLine, ExecOptions, Transport } from './transport.ts'

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end and collects what it printed. `input` is its standard input. */
export async function run(
  transport: Transport,
  command: CommandLine,
  { input = '', ...options }: ExecOptions & { input?: string } = {},
): Promise<CommandResult> {
  const running = await ('shell' in command
    ? transport.exec(command, options)
    : startProgram(transport, command, options))
  running.stdin.on('error', () => {}) // a command may end without reading its input
  running.stdin.end(input)
  const [stdout, stderr, status] = await Promise.all([
    text(running.stdout),
    text(running.stderr),
    running.exit,
  ])
  return { code: exitCodeOf(status), stdout, stderr }
}
