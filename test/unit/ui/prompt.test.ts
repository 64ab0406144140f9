import { expect, test } from 'vitest'
import { fitPrompt } from '../../../src/ui/prompt.ts'

test('a prompt that fits is a single line, even if its text has line breaks', () => {
  expect(fitPrompt('Remove this machine?', 40)).toBe('Remove this machine?')
  expect(fitPrompt('Remove\nthis  machine?', 40)).not.toContain('\n')
})

test('a longer prompt is wrapped between words, with room for the mark before it', () => {
  const text = 'use 1 to 63 ASCII letters, digits, "-" or ".", beginning with a letter'
  const lines = fitPrompt(text, 30).split('\n')
  expect(lines.join(' ')).toBe(text)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(30)
  expect(lines[0]?.length).toBeLessThanOrEqual(28)
  expect(fitPrompt(`go to ${'x'.repeat(50)}`, 30)).toBe(`go to\n${'x'.repeat(50)}`)
})
