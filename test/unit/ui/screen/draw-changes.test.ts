import xterm from '@xterm/headless'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Canvas, cellWidth, fitCells } from '../../../../src/ui/screen/canvas.ts'
import { drawChanges } from '../../../../src/ui/screen/draw-changes.ts'

const [columns, rows] = [12, 4]

const write = (terminal: xterm.Terminal, text: string): Promise<void> =>
  new Promise((resolve) => terminal.write(text, resolve))

/** Texts to put on a canvas, each with a position and a style. */
const drawing = fc.array(
  fc.record({
    x: fc.integer({ min: 0, max: columns - 1 }),
    y: fc.integer({ min: 0, max: rows - 1 }),
    text: fc.string({ unit: fc.constantFrom('a', 'b', ' ', '日', 'é', '█'), maxLength: 8 }),
    style: fc.constantFrom('', '1', '31', '7'),
  }),
  { maxLength: 12 },
)

function paint(puts: readonly { x: number; y: number; text: string; style: string }[]): Canvas {
  const canvas = new Canvas(columns, rows)
  for (const { x, y, text, style } of puts) canvas.put(x, y, text, style)
  return canvas
}

/** Returns the text of each terminal cell, with an asterisk if the cell has a style. */
const cellsOf = (terminal: xterm.Terminal): readonly string[] =>
  Array.from({ length: rows * columns }, (_, index) => {
    const cell = terminal.buffer.active
      .getLine(Math.floor(index / columns))
      ?.getCell(index % columns)
    const wide = cell?.getWidth() === 0
    return wide ? '' : `${cell?.getChars() || ' '}${cell?.isAttributeDefault() === true ? '' : '*'}`
  })

const cellsIn = ({ texts, styles }: Canvas): readonly string[] =>
  texts.map((text, index) => (text === '' ? '' : `${text}${styles[index] === '' ? '' : '*'}`))

test('shows each picture after drawing the changes from the previous one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(drawing, { minLength: 1, maxLength: 4 }), async (pictures) => {
      const terminal = new xterm.Terminal({ rows, cols: columns, allowProposedApi: true })
      await write(terminal, '\u001B[?7l')
      let before: Canvas | undefined
      for (const puts of pictures) {
        const canvas = paint(puts)
        await write(terminal, drawChanges(before, canvas))
        before = canvas
        expect(cellsOf(terminal)).toEqual(cellsIn(canvas))
      }
      terminal.dispose()
    }),
    { numRuns: 60 },
  )
})

test('writes nothing for an unchanged picture, and otherwise only the changed cells', () => {
  const before = paint([{ x: 0, y: 1, text: 'hello', style: '' }])
  expect(drawChanges(before, paint([{ x: 0, y: 1, text: 'hello', style: '' }]))).toBe('')
  const after = paint([{ x: 0, y: 1, text: 'hellO', style: '' }])
  expect(drawChanges(before, after)).toBe('\u001B[2;5HO')
})

test('never clears the screen, and draws every cell after a change of size', () => {
  const all = drawChanges(new Canvas(3, 2), paint([]))
  expect(all).not.toMatch(/\[\d?[JK]/)
  expect(
    all
      .split(/\[\d+;\d+H/)
      .join('')
      .replaceAll('\u001B', ''),
  ).toBe(' '.repeat(rows * columns))
})

test('escapes control characters in texts', () => {
  const canvas = paint([{ x: 0, y: 0, text: '\u001B[2J', style: '' }])
  expect(canvas.lines()[0]).toBe(String.raw`\u001b[2J`)
})

test('truncates texts by the width of their cells', () => {
  expect(cellWidth('日本')).toBe(4)
  expect(fitCells('日本語', 5)).toBe('日本…')
  expect(fitCells('日本語', 4)).toBe('日…')
  expect(fitCells('container', 5)).toBe('cont…')
  expect(fitCells('fits', 4)).toBe('fits')
})
