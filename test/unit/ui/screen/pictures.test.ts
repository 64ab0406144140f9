import { expect, test } from 'vitest'
import { Canvas } from '../../../../src/ui/screen/canvas.ts'
import { heatStyle, lookOf, styleOf } from '../../../../src/ui/screen/palette.ts'
import { drawBar, drawParts, heatCell, sparkline } from '../../../../src/ui/screen/pictures.ts'

const [plain, ascii] = [
  { colors: 'none', unicode: true },
  { colors: 'none', unicode: false },
] as const

const drawn = (draw: (canvas: Canvas) => void): string => {
  const canvas = new Canvas(10, 1)
  draw(canvas)
  return canvas.lines()[0] ?? ''
}

test.each([
  [0, '········', '........'],
  [0.5, '████····', '||||....'],
  [0.56, '████▌···', '||||....'],
  [1, '████████', '||||||||'],
  [2, '████████', '||||||||'],
])('draws a bar of %d', (share, unicode, simple) => {
  const place = { x: 0, y: 0, width: 8, share }
  expect(drawn((canvas) => drawBar(canvas, plain, place))).toBe(unicode)
  expect(drawn((canvas) => drawBar(canvas, ascii, place))).toBe(simple)
})

test('a sparkline shows the latest values at its right end', () => {
  expect(sparkline(plain, [0, 0.5, 1], 5, 1)).toBe('  ▁▅█')
  expect(sparkline(plain, [9, 9, 0, 4], 2)).toBe('▁█')
  expect(sparkline(ascii, [0, 1], 3, 1)).toBe(' _#')
  expect(sparkline(plain, [], 3)).toBe('   ')
})

test('a stacked bar shows its parts and the remainder', () => {
  const place = { x: 0, y: 0, width: 8, parts: [2, 1, 1], total: 8 }
  expect(drawn((canvas) => drawParts(canvas, ascii, place))).toBe('##=+')
  expect(drawn((canvas) => drawParts(canvas, plain, { ...place, total: 4 }))).toBe('░░░░▒▒▓▓')
  expect(drawn((canvas) => drawParts(canvas, plain, { ...place, total: 0 }))).toBe('')
})

test('heat cells differ without colors, and show a dot for a machine without a value', () => {
  expect([0, 0.3, 0.6, 1].map((share) => heatCell(ascii, share).text)).toEqual(['.', ':', '+', '#'])
  expect(heatCell(plain, undefined).text).toBe('·')
})

test('colors and characters depend on NO_COLOR, COLORTERM and the locale', () => {
  expect(lookOf({ NO_COLOR: '1', LANG: 'C.UTF-8' })).toEqual({ colors: 'none', unicode: true })
  expect(lookOf({ COLORTERM: 'truecolor', LC_ALL: 'de_DE.utf8' }).colors).toBe('true')
  expect(lookOf({ TERM: 'xterm' }).colors).toBe('16')
  expect(styleOf({ colors: '16', unicode: true }, 'bad')).toBe('31')
  expect(heatStyle({ colors: 'true', unicode: true }, 1)).toBe('38;2;255;0;60')
})
