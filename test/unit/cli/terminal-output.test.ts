import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import { writeFailure, writeFailures } from '../../../src/ui/failure.ts'
import { openMachineOutput } from '../../../src/ui/output-by-machine.ts'
import { withProgress } from '../../../src/ui/progress/progress.ts'
import { streamRows } from '../../../src/ui/row-stream.ts'
import { compose } from '../../../src/ui/styled.ts'
import { writeJson, writeRows } from '../../../src/ui/table.ts'
import { onlyColors, oneLine, visible } from '../../../src/ui/visible.ts'
import { capturedIo } from '../../support/fake-io.ts'
import { codePoint } from '../../support/code-point.ts'

/**
 * Escape sequences that write to the clipboard, set the title or clear the screen; a forged line; C1 control
 * characters; bidirectional, zero-width and tag characters.
 */
const hostile = [
  '\u001B]52;c;cm0K\u0007',
  '\u001B]0;title\u001B\\',
  '\u001B[2J\u001B[H',
  'a\rfleet: all is well',
  '\u009B31m',
  '\u202Egnp.exe',
  'web\u200B-1',
  '\u2066x\u2069',
  '\u{E0041}\u{E0042}',
  '\uFEFFx',
  '\u00ADx',
  '\u2028fleet: x',
  '\uD800',
  '\u3164',
  '\u0000\u0008\u007F',
]

const acted =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u2028\u2029]|\p{Cf}|\p{Cs}|\p{Default_Ignorable_Code_Point}/u
// oxlint-disable-next-line no-control-regex
const anyColors = /\u001B\[[\d;:]*m/g

const texts = fc.oneof(
  fc.string({ unit: codePoint, maxLength: 40 }),
  fc
    .array(fc.oneof(fc.constantFrom(...hostile), fc.string({ maxLength: 5 })), { maxLength: 6 })
    .map((parts) => parts.join('')),
)

describe('escaping of terminal output', () => {
  test('makes characters that a terminal acts on visible, and keeps all other text', () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(visible(text)).not.toMatch(acted)
        expect(visible(visible(text))).toBe(visible(text))
        expect(oneLine(text)).not.toMatch(/[\n\t]/)
        expect(JSON.parse(visible(JSON.stringify({ text })))).toEqual({ text })
      }),
    )
    for (const plain of ['Grüße, 日本語 🚀', 'a\tb\nc', 'é́', '\\u001b'])
      expect(visible(plain)).toBe(plain)
    expect(visible('\u001B[31m\u202E')).toBe(String.raw`\u001b[31m\u202e`)
  })

  test('emits only fleet’s own styles, for any text inside them', () => {
    fc.assert(
      fc.property(texts, (text) => {
        expect(compose`${text} ${compose`${text}`}`.rendered).not.toMatch(acted)
      }),
    )
  })

  test('lets only colors through in a line after a prefix, and resets them at its end', () => {
    expect(onlyColors('\u001B[31mred')).toBe('\u001B[31mred\u001B[0m')
    expect(onlyColors('\u001B[1Aup\rback')).toBe(String.raw`\u001b[1Aup\u000dback`)
    fc.assert(
      fc.property(texts, (text) => {
        expect(onlyColors(text).replaceAll(anyColors, '')).not.toMatch(acted)
      }),
    )
  })
})

describe.each([true, false])('output of commands (terminal: %s)', (isTTY) => {
  const columns = [
    { title: 'NAME', text: ({ text }: { text: string }) => text, paint: (cell: string) => cell },
    { title: 'AGAIN', text: ({ text }: { text: string }) => text },
  ]

  /** Resolves to everything that `write` sent to the streams, without color sequences. */
  async function sent(
    write: (io: ReturnType<typeof capturedIo>['io']) => unknown,
  ): Promise<string> {
    const { io, written } = capturedIo({ isTTY, env: { TERM: 'dumb' } })
    await write(io)
    return written().replaceAll(anyColors, '')
  }

  test.each<[string, (io: ReturnType<typeof capturedIo>['io'], text: string) => unknown]>([
    ['tables', (io, text) => writeRows(io, { json: false }, { rows: [{ text }], columns })],
    [
      'streamed tables',
      async (io, text) => {
        const format = { json: false, quiet: false }
        const rows = streamRows(io, format, { columns, machines: ['web-1'] })
        rows.add('web-1', [{ text }])
        await rows.finish()
      },
    ],
    [
      'names',
      (io, text) =>
        writeRows(
          io,
          { json: false, quiet: true },
          { rows: [{ text }], columns, name: (row) => row.text },
        ),
    ],
    ['JSON', (io, text) => writeJson(io, { text, [text]: [text] })],
    [
      'errors',
      (io, text) =>
        writeFailure(io, new UserError('failed', text, { machine: text, hint: text }), false),
    ],
    ['errors in JSON', (io, text) => writeFailure(io, new UserError('failed', text), true)],
    ['internal errors', (io, text) => writeFailure(io, new TypeError(text), false)],
    [
      'failures of several machines',
      (io, text) =>
        writeFailures(
          io,
          ['a', 'b'].map((name) => ({ machine: { name }, error: new UserError('failed', text) })),
          { of: 3, json: false },
        ),
    ],
    [
      'progress',
      (io, text) =>
        withProgress(io, { json: false }, text, async (report) => {
          report('boot', text)
          report(text)
        }),
    ],
    [
      'progress in JSON',
      (io, text) =>
        withProgress(io, { json: true }, 'web-1', async (report) => report('boot', text)),
    ],
    [
      'output of several machines in JSON',
      async (io, text) => {
        const output = openMachineOutput(io, ['a', 'b'], { json: true, fold: false })
        await output.line('a', 'stdout', text)
        output.end('a', 0)
        output.finish()
      },
    ],
  ])('has no control characters from other sources in %s', async (_what, write) => {
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        expect(await sent((io) => write(io, text))).not.toMatch(acted)
      }),
      { numRuns: 40 },
    )
  })

  test('omits invalid names from the output that programs read, and reports them', async () => {
    const { io, written } = capturedIo({ isTTY })
    const rows = ['web', '-rf', 'a b', '', 'x\u202E', 'sha256:0a1b', '日本'].map((text) => ({
      text,
    }))
    await writeRows(io, { json: false, quiet: true }, { rows, columns, name: (row) => row.text })
    expect(written('stdout')).toBe('web\nsha256:0a1b\n日本\n')
    expect(written('stderr')).toContain('"-rf"')
  })
})

test('an error of several lines is indented below its first line', () => {
  const { io, written } = capturedIo({ isTTY: false })
  writeFailure(io, new UserError('failed', 'no\nfleet: done', { machine: 'web-1' }), false)
  expect(written()).toBe('fleet: web-1: no\n  fleet: done\n')
})

/**
 * Files that may write to a stream directly or produce styled text, and why. All other files write through `Output`.
 */
const exceptions: readonly (readonly [pattern: RegExp, files: readonly string[]])[] = [
  [
    /\bprocess\.(?:stdout|stderr)\b|\bprocess\[/,
    [
      'cli/ask-broker.ts', // forwards the output of the command in the broker
      'cli/run-broker.ts', // the broker's log
      'cli/output-errors.ts', // opens the streams, and writes an error
      'transport/openssh/questions.ts', // a program for ssh, which reads the answer
      'transport/openssh/relay.ts', // a program for ssh, which reads the connection
    ],
  ],
  [/\bconsole\./, []],
  [
    /\b(?:stdout|stderr|output|this)\.raw\b|\]\.raw\b/,
    [
      'ui/io.ts', // for output passed through from docker and ssh
      'ui/output.ts', // after escaping
      'ui/progress/live.ts', // draws styled text with log-update
      'ui/prompt.ts', // prompts
      'ui/template-output.ts', // Outputs that write escaped text through another Output
      'ui/screen/terminal-screen.ts', // the cells of a Canvas, which escapes its text
    ],
  ],
  [
    /\bpassThroughStreams\(/,
    [
      'commands/docker-cli/pass-through.ts', // docker's own output
      'commands/machine/mount.ts', // the SFTP data of a host, for sshfs
      'commands/machine/ssh.ts', // a shell on a host
    ],
  ],
  [
    /\.pass\(/,
    [
      'commands/container/write-logs.ts', // the output of containers, as docker logs prints it
      'ui/output-by-machine.ts', // the output of programs on several machines
      'ui/prefixed-lines.ts', // the output of programs, after prefixes that are escaped
    ],
  ],
  [
    /new Styled\(/,
    [
      'ui/color.ts',
      'ui/page.ts',
      'ui/progress/screen.ts',
      'ui/screen/terminal-screen.ts', // the changed cells of a Canvas
      'ui/styled.ts',
    ],
  ],
  [
    /\b(?:stdout|stderr)\.write\(/,
    [
      'operations/docker/on-host/copy.ts', // docker's output, to the streams passed by the caller
      'operations/compose/compose-here.ts', // compose's output, and a notice without control characters
      'operations/compose/compose-on-host.ts', // compose's output, and a notice without control characters
      'operations/docker/exec-in-container.ts', // docker's output
      'transport/openssh/questions.ts', // a program for ssh
      'transport/openssh/relay.ts', // a program for ssh
      'cli/run-broker.ts', // the broker's log
      'cli/ask-broker.ts', // trace lines, without control characters
      'cli/program.ts', // an Output, for help
      'ui/progress/events.ts', // an Output
      'ui/progress/lines.ts', // an Output
      'ui/screen/terminal-screen.ts', // an Output
      'commands/top/run.ts', // an Output
    ],
  ],
]

test('no other file writes to the streams', async () => {
  const root = path.join(import.meta.dirname, '../../../src')
  const files = (await readdir(root, { recursive: true })).filter((file) => file.endsWith('.ts'))
  const sources = await Promise.all(
    files.map(async (file) => ({ file, source: await readFile(path.join(root, file), 'utf8') })),
  )
  for (const [pattern, allowed] of exceptions) {
    const found = sources.filter(({ source }) =>
      // `io.stdout` and `io.stderr` are Outputs: only writes to other streams count.
      pattern.test(source.replaceAll(/\bio\.(?:stdout|stderr)\.write\(/g, '')),
    )
    expect([pattern.source, ...found.map(({ file }) => file).sort()]).toEqual([
      pattern.source,
      ...allowed.toSorted(),
    ])
  }
})
