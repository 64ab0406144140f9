import * as fc from 'fast-check'
import stringWidth from 'string-width'
import { describe, expect, test, vi } from 'vitest'
import { mergeIpFamilies, portsText } from '../../../src/commands/container/fields.ts'
import { streamRows } from '../../../src/ui/row-stream.ts'
import { type Column, openTable, writeRows } from '../../../src/ui/table.ts'
import { oneLine } from '../../../src/ui/visible.ts'
import { capturedIo } from '../../support/fake-io.ts'

interface Row {
  readonly name: string
  readonly image: string
  readonly command: string
  readonly reason: string
}

const columns: readonly Column<Row>[] = [
  { title: 'NAME', text: ({ name }) => name, keep: true },
  { title: 'IMAGE', text: ({ image }) => image, width: 8 },
  { title: 'COMMAND', text: ({ command }) => command, drop: 1 },
  { title: 'REASON', text: ({ reason }) => reason, wrap: true },
]

const rowOf = (row: Partial<Row>): Row => ({ name: '', image: '', command: '', reason: '', ...row })

async function linesAt(width: number, rows: readonly Row[], whole = false): Promise<string[]> {
  const { io, written } = capturedIo({ isTTY: true, columns: width, env: { NO_COLOR: '1' } })
  await writeRows(io, { json: false }, { rows, columns, whole })
  return written('stdout')
    .split('\n')
    .slice(0, -1)
    .map((line) => line.trimEnd())
}

const web = rowOf({ name: 'web-1', image: 'registry.example/shop/frontend:2.1', command: 'nginx' })

describe('a table in a pipe', () => {
  test('is written in few calls, even with many rows', async () => {
    const { io, written } = capturedIo({ isTTY: false })
    const write = vi.spyOn(io.stdout, 'write')
    const rows = Array.from({ length: 2_001 }, (_, index) => rowOf({ name: `web-${index}` }))
    await writeRows(io, { json: false }, { rows, columns })
    expect(written('stdout')).toBe(rows.map(({ name }) => `${name}\t\t\t\n`).join(''))
    expect(write.mock.calls.length).toBeLessThan(10)
  })
})

describe('a table on a terminal', () => {
  test('is as wide as its texts if they fit', async () => {
    expect(await linesAt(80, [web])).toEqual([
      'NAME    IMAGE                                COMMAND   REASON',
      'web-1   registry.example/shop/frontend:2.1   nginx',
    ])
  })

  test('is as wide as its texts if the size of the terminal is unknown', async () => {
    expect(await linesAt(0, [web])).toEqual(await linesAt(80, [web]))
  })

  test('shortens the widest column first', async () => {
    expect(await linesAt(50, [web])).toEqual([
      'NAME    IMAGE                     COMMAND   REASON',
      'web-1   registry.example/shop/…   nginx',
    ])
  })

  test('then omits the least important column', async () => {
    expect(await linesAt(32, [web])).toEqual([
      'NAME    IMAGE             REASON',
      'web-1   registry.examp…',
    ])
  })

  test('wraps a long reason between words, below its row', async () => {
    const row = rowOf({ name: 'web-1', reason: 'connection refused by the host at 203.0.113.7' })
    expect(await linesAt(30, [row])).toEqual([
      'NAME    IMAGE   REASON',
      'web-1',
      '    connection refused by the',
      '    host at 203.0.113.7',
    ])
  })

  test('shortens nothing if full texts are requested', async () => {
    expect((await linesAt(20, [web], true))[1]).toBe(
      'web-1   registry.example/shop/frontend:2.1   nginx',
    )
  })

  test('measures wide characters in terminal cells', async () => {
    const [, first = '', second = ''] = await linesAt(40, [
      rowOf({ name: '日本', image: '漢字'.repeat(20), command: 'x' }),
      rowOf({ name: 'web', image: 'a', command: 'x' }),
    ])
    expect(stringWidth(first)).toBeLessThanOrEqual(40)
    expect(first).toContain('…')
    expect(stringWidth(first.slice(0, first.indexOf('x')))).toBe(second.indexOf('x'))
  })

  const cells = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.string({ unit: 'grapheme', maxLength: 20 }),
    fc.constantFrom('漢字'.repeat(9), '', 'a b c d e f g h i j'),
  )
  const rows = fc.array(fc.record({ name: cells, image: cells, command: cells, reason: cells }), {
    maxLength: 4,
  })

  test('has no line wider than the terminal', async () => {
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 120 }), async (rows, width) => {
        for (const line of await linesAt(width, rows)) {
          expect(stringWidth(line)).toBeLessThanOrEqual(width)
        }
      }),
    )
  })

  test('keeps its columns aligned while rows are added', async () => {
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 30, max: 120 }), async (rows, width) => {
        const { io, written } = capturedIo({ isTTY: true, columns: width, env: { NO_COLOR: '1' } })
        const write = await openTable(io, columns.slice(0, 2), rows.slice(0, 1))
        for (const row of rows) write({ ...row, image: 'x' })
        const [header = '', ...lines] = written('stdout').split('\n').slice(0, -1)
        for (const line of lines) {
          expect(stringWidth(line)).toBe(header.indexOf('IMAGE') + 1)
        }
      }),
    )
  })

  test('prints complete texts, separated by tabs, in a pipe', async () => {
    await fc.assert(
      fc.asyncProperty(rows, async (rows) => {
        const { io, written } = capturedIo({ isTTY: false, columns: 10 })
        await writeRows(io, { json: false }, { rows, columns })
        expect(written('stdout')).toBe(
          rows
            .map((row) => [row.name, row.image, row.command, row.reason].map((t) => oneLine(t)))
            .map((texts) => `${texts.join('\t')}\n`)
            .join(''),
        )
      }),
    )
  })
})

test.each([
  ['a pipe', { isTTY: false }],
  ['NO_COLOR', { isTTY: true, env: { NO_COLOR: '1' } }],
  ['a dumb terminal', { isTTY: true, env: { TERM: 'dumb' } }],
])('a table has no colors with %s', async (_what, settings) => {
  const { io, written } = capturedIo(settings)
  await writeRows(io, { json: false }, { rows: [web], columns })
  expect(written()).not.toContain('\u001B')
})

/** Resolves to the lines of a redrawn table whose two machines answer in reverse order. */
async function frame(image: string): Promise<string[]> {
  const { io, written } = capturedIo({ isTTY: true, env: { NO_COLOR: '1' } })
  const format = { json: false, quiet: false }
  const options = { columns, machines: ['a', 'b'], redrawn: true }
  const table = streamRows<Row>(io, format, options)
  table.add('b', [rowOf({ name: 'b', image })])
  table.add('a', [rowOf({ name: 'a', image })])
  await table.finish()
  return written('stdout').split('\n')
}

test('a column with `keep` keeps its reserved width', async () => {
  const { io, written } = capturedIo({ isTTY: true, columns: 30, env: { NO_COLOR: '1' } })
  const state: Column<Row> = { title: 'STATE', text: () => 'unreachable', width: 11, keep: true }
  const image: Column<Row> = { title: 'IMAGE', text: ({ image }) => image, width: 30 }
  const write = await openTable(io, [state, image])
  write(web)
  expect(written('stdout')).toBe('STATE         IMAGE\nunreachable   registry.exampl…\n')
})

test('a redrawn table waits for all machines, and keeps its column widths', async () => {
  const [short, long] = [await frame('x'), await frame('xxxxxxxx')]
  expect(short[0]).toBe(long[0])
  expect(short.slice(1).map((line) => line[0])).toEqual(['a', 'b', undefined])
})

const port = (IP: string, PublicPort: number, PrivatePort = PublicPort, Type = 'tcp') => ({
  ...{ IP, PublicPort, PrivatePort, Type },
})

test('the same port published on IPv4 and IPv6 is shown once', () => {
  const text = (ports: readonly ReturnType<typeof port>[]) => portsText(mergeIpFamilies(ports))
  expect(text([port('0.0.0.0', 80), port('::', 80)])).toBe('*:80->80/tcp')
  expect(text([port('0.0.0.0', 8080, 80), port('::', 8080, 80), port('127.0.0.1', 9)])).toBe(
    '127.0.0.1:9->9/tcp, *:8080->80/tcp',
  )
  expect(text([port('0.0.0.0', 80), port('::', 81)])).toBe('0.0.0.0:80->80/tcp, [::]:81->81/tcp')
})
