import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { shellQuote } from '../../os/shell-quote.ts'
import type { ExecOptions, TerminalSize } from '../transport.ts'

/** The line that sizes its terminal, tells its name on descriptor 3, and becomes the command. */
const prelude = (line: string, shell: string, { rows, columns }: TerminalSize): string =>
  [
    `stty rows ${rows} columns ${columns}`,
    'tty >&3',
    'exec 3>&-',
    `SHELL=${shellQuote(shell)} exec ${shellQuote(shell)} -c ${shellQuote(line)}`,
  ].join('; ')

/**
 * Starts `line` on a terminal of its own. Node.js cannot make one without a native module, so script(1) of
 * util-linux does, which is on every Linux. Lending the command fleet's own terminal would be no way out:
 * the caller reads from that one and copies to it.
 */
export function spawnOnTerminal(
  line: string,
  shell: string,
  terminal: NonNullable<ExecOptions['terminal']>,
  env: Readonly<Record<string, string | undefined>>,
): { readonly child: ChildProcess; readonly resize: (size: TerminalSize) => void } {
  const child = spawn('script', ['-qec', prelude(line, shell, terminal), '/dev/null'], {
    env: { ...env, SHELL: '/bin/sh', TERM: terminal.type },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const device = once(child.stdio[3] as Readable, 'data').then(([chunk]) => String(chunk).trim())
  device.catch(() => {}) // it may end before it tells
  return {
    child,
    resize({ rows, columns }) {
      const setSize = (file: string) =>
        spawn('stty', ['-F', file, 'rows', String(rows), 'columns', String(columns)], {
          stdio: 'ignore',
        }).on('error', () => {}) // a terminal that keeps its size is no reason to end
      device.then(setSize, () => {})
    },
  }
}
