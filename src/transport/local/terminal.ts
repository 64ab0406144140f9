import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { shellQuote } from '../../os/shell-quote.ts'
import type { ExecOptions, TerminalSize } from '../transport.ts'
import type { Environment } from '../../os/environment.ts'

/**
 * Returns a shell line that sets the size of its terminal, writes the terminal's name to file descriptor 3, and runs
 * the command.
 */
const prelude = (line: string, shell: string, { rows, columns }: TerminalSize): string =>
  [
    `stty rows ${rows} columns ${columns}`,
    'tty >&3',
    'exec 3>&-',
    `SHELL=${shellQuote(shell)} exec ${shellQuote(shell)} -c ${shellQuote(line)}`,
  ].join('; ')

/**
 * Starts a command on a new terminal with script(1) of util-linux, since Node.js cannot create a terminal without a
 * native module. fleet's terminal cannot be used: the caller reads from it and writes to it.
 */
export function spawnOnTerminal(
  line: string,
  shell: string,
  terminal: NonNullable<ExecOptions['terminal']>,
  env: Environment,
): { readonly child: ChildProcess; readonly resize: (size: TerminalSize) => void } {
  const child = spawn('script', ['-qec', prelude(line, shell, terminal), '/dev/null'], {
    env: { ...env, SHELL: '/bin/sh', TERM: terminal.type },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const device = once(child.stdio[3] as Readable, 'data').then(([chunk]) => String(chunk).trim())
  device.catch(() => {}) // the process may exit before it prints the name
  return {
    child,
    resize({ rows, columns }) {
      const setSize = (file: string) =>
        spawn('stty', ['-F', file, 'rows', String(rows), 'columns', String(columns)], {
          stdio: 'ignore',
        }).on('error', () => {}) // a terminal with the wrong size is still usable
      device.then(setSize, () => {})
    },
  }
}
