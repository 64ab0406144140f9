import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import xterm from '@xterm/headless'

const relay = join(import.meta.dirname, 'pty_relay.py')

/** A program on a terminal whose window can be inspected while the program runs. */
export interface LiveTerminal extends AsyncDisposable {
  /** Returns the lines of the window, without trailing spaces. */
  lines(): readonly string[]
  /** Returns which of its two screens the terminal shows. */
  readonly screen: () => 'normal' | 'alternate'
  /** Returns everything written to the terminal so far. */
  readonly written: () => string
  /** Returns whether a cell has a style, such as inverse or dim, instead of plain text. */
  isStyled(row: number, column: number): boolean
  /** Resolves to the PID of the program. */
  readonly pid: () => Promise<number>
  type(text: string): void
  resize(rows: number, columns: number): void
  signal(name: 'SIGTERM' | 'SIGUSR2'): void
  /**
   * Resolves when the window matches `fits`; rejects with its contents after `seconds`, or if the program has exited.
   */
  until(fits: RegExp | ((lines: readonly string[]) => boolean), seconds?: number): Promise<void>
  /** The exit code of the program. */
  readonly ended: Promise<number>
}

interface Options {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly rows?: number
  readonly columns?: number
}

/** Starts a program on a terminal. Disposal kills the program if it is still running. */
export function openTerminal(
  argv: readonly string[],
  { cwd, env, rows = 24, columns = 80 }: Options,
): LiveTerminal {
  const terminal = new xterm.Terminal({
    rows,
    cols: columns,
    allowProposedApi: true,
    scrollback: 0,
  })
  const child = spawn('/usr/bin/python3', [relay, String(rows), String(columns), ...argv], {
    cwd,
    env: { TERM: 'xterm-256color', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const watching = new Set<() => void>()
  const look = (): void => watching.forEach((watch) => watch())
  let written = ''
  child.stdout.on('data', (chunk: Buffer) => {
    written += chunk.toString('latin1')
    terminal.write(chunk, look)
  })
  terminal.onData((answer) => send({ type: answer })) // answers to queries such as the cursor position
  child.stdin.on('error', () => {})
  const send = (command: object): void => void child.stdin.write(`${JSON.stringify(command)}\n`)
  let hasEnded = false
  const ended = new Promise<number>((resolve) => {
    child.once('close', (code) => {
      hasEnded = true
      // Wait until the last output has been parsed.
      terminal.write('', () => {
        look()
        resolve(code ?? -1)
      })
    })
  })
  const lines = (): readonly string[] => {
    const { active } = terminal.buffer
    return Array.from({ length: terminal.rows }, (_, row) =>
      (active.getLine(active.baseY + row)?.translateToString(true) ?? '').trimEnd(),
    )
  }
  return {
    lines,
    ended,
    screen: () => terminal.buffer.active.type,
    written: () => written,
    isStyled(row, column) {
      const cell = terminal.buffer.active.getLine(row)?.getCell(column)
      return cell !== undefined && !cell.isAttributeDefault()
    },
    async pid() {
      const children = `/proc/${child.pid}/task/${child.pid}/children`
      return Number.parseInt(await readFile(children, 'utf8'), 10)
    },
    type: (text) => send({ type: text }),
    resize(rows, columns) {
      terminal.resize(columns, rows)
      send({ size: [rows, columns] })
    },
    signal: (name) => send({ signal: constants.signals[name] }),
    until(fits, seconds = 60) {
      const isFit = (): boolean =>
        fits instanceof RegExp ? fits.test(lines().join('\n')) : fits(lines())
      return new Promise((resolve, reject) => {
        const stop = (): void => {
          clearTimeout(timer)
          watching.delete(watch)
        }
        const fail = (why: string): void => {
          stop()
          reject(new Error(`${why}: ${String(fits)}\n${lines().join('\n')}`))
        }
        const watch = (): void => {
          if (isFit()) {
            stop()
            resolve()
          } else if (hasEnded) fail('the program has ended without')
        }
        const timer = setTimeout(() => fail(`not shown within ${seconds} s`), seconds * 1000)
        watching.add(watch)
        watch()
      })
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL') // the terminal hangs up, which terminates the program
      child.stdin.destroy()
      await ended
      terminal.dispose()
    },
  }
}
