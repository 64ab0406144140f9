import { PassThrough, Writable } from 'node:stream'
import xterm from '@xterm/headless'
import { type Io, type ProcessIo, openIo } from '../../src/ui/io.ts'

type IoChanges = Partial<Pick<Io, 'env' | 'signal'>>

function makeIo(
  stderr: ProcessIo['stderr'],
  changes: IoChanges,
  stdout: ProcessIo['stdout'] = new PassThrough(),
): Io {
  const { signal } = new AbortController()
  const stdin = new PassThrough()
  return openIo({ stdin, stdout, stderr, env: {}, cwd: '/', signal, ...changes })
}

/** Returns an Io without a terminal, and the lines written to stderr so far. */
export function pipeIo(changes: IoChanges = {}): { io: Io; said: () => string[] } {
  let text = ''
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  return {
    io: makeIo(stderr, changes),
    said: () => text.split('\n').slice(0, -1),
  }
}

/** Returns an Io whose outputs are recorded as they are written; both are terminals, or neither is. */
export function capturedIo({
  isTTY,
  columns = 80,
  rows = 24,
  ...changes
}: IoChanges & { isTTY: boolean; columns?: number; rows?: number }): {
  readonly io: Io
  readonly written: (name?: 'stdout' | 'stderr') => string
} {
  const kept: { name: string; text: string }[] = []
  const collect = (name: string) => {
    const stream = new Writable({
      decodeStrings: false,
      write(text: string, _encoding, done) {
        kept.push({ name, text })
        done()
      },
    })
    return Object.assign(stream, { isTTY, columns, rows })
  }
  const { signal } = new AbortController()
  const [stdin, stdout, stderr] = [new PassThrough(), collect('stdout'), collect('stderr')]
  return {
    io: openIo({ stdin, stdout, stderr, env: {}, cwd: '/', signal, ...changes }),
    written: (wanted) =>
      kept
        .flatMap(({ name, text }) => (wanted === undefined || name === wanted ? text : []))
        .join(''),
  }
}

/** An Io whose stderr is a terminal that interprets control sequences. */
export interface Terminal {
  readonly io: Io
  readonly type: () => 'normal' | 'alternate'
  /** Resolves to the lines of the window and of the scrollback, without trailing empty lines. */
  readonly screen: () => Promise<string[]>
}

/** Creates a terminal of the given size; with `both`, stdout is the same terminal. */
export function terminalIo(
  {
    rows = 24,
    columns = 80,
    both = false,
  }: { rows?: number; columns?: number; both?: boolean } = {},
  changes: IoChanges = {},
): Terminal {
  const terminal = new xterm.Terminal({ rows, cols: columns, allowProposedApi: true })
  const written: Promise<void>[] = []
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      // Like a terminal driver, turns line feeds into CR LF.
      const text = chunk.toString().replaceAll('\n', '\r\n')
      written.push(new Promise((resolve) => terminal.write(text, resolve)))
      done()
    },
  })
  const tty = Object.assign(stderr, { isTTY: true, rows, columns })
  return {
    io: makeIo(tty, { env: { NO_COLOR: '1' }, ...changes }, both ? tty : undefined),
    type: () => terminal.buffer.active.type,
    async screen() {
      await Promise.all(written)
      const { active } = terminal.buffer
      const lines = Array.from(
        { length: active.length },
        (_, index) => active.getLine(index)?.translateToString().trimEnd() ?? '',
      )
      return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1)
    },
  }
}
