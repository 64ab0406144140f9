import { expect, test, vi } from 'vitest'
import { openPages } from '../../../src/ui/page.ts'
import { capturedIo, terminalIo } from '../../support/fake-io.ts'

const page = (...lines: string[]) => lines.map((line) => `${line}\n`).join('')

test('pages replace each other on the alternate screen, and the last one remains on the normal screen', async () => {
  const { io, screen, type } = terminalIo({ rows: 4, columns: 20, both: true })
  io.stdout.write('$ fleet stats\n')
  const pages = openPages(io)
  await pages.draw(async (held) => {
    held.stdout.write(page('NAME', 'web', 'db', 'cache', 'queue'))
    expect(await screen()).toEqual(['$ fleet stats'])
  })
  expect(await screen()).toEqual(['NAME', 'web', 'db', '… and 2 more lines'])
  await pages.draw(async (held) => {
    held.stdout.write(page('NAME', 'x'.repeat(50)))
    held.stderr.write('db failed\n')
  })
  expect(await screen()).toEqual(['NAME', 'x'.repeat(20), 'db failed'])
  expect(type()).toBe('alternate')
  pages[Symbol.dispose]()
  await screen()
  expect(type()).toBe('normal')
  expect(await screen()).toEqual([
    '$ fleet stats',
    'NAME',
    'x'.repeat(20),
    'x'.repeat(20),
    'xxxxxxxxxx',
    'db failed',
  ])
})

test('the alternate screen is left once when the process exits', async () => {
  const { io, written } = capturedIo({ isTTY: true })
  const once = vi.spyOn(process, 'once')
  const pages = openPages(io)
  await pages.draw(async (held) => held.stdout.write('web\n'))
  const [, leave] = once.mock.calls.find(([event]) => event === 'exit') ?? []
  once.mockRestore()
  leave?.()
  pages[Symbol.dispose]()
  expect(written().split('\u001B[?1049l')).toHaveLength(2)
  expect(process.listeners('exit')).not.toContain(leave)
})

test('an error before the first page leaves the terminal unchanged', async () => {
  const { io, written } = capturedIo({ isTTY: true })
  const drawing = async () => {
    using pages = openPages(io)
    await pages.draw(() => Promise.reject(new Error('unreachable')))
  }
  await expect(drawing()).rejects.toThrow('unreachable')
  expect(written()).toBe('')
})

test('pages on a dumb terminal follow each other', async () => {
  const { io, written } = capturedIo({ isTTY: true, env: { TERM: 'dumb' } })
  using pages = openPages(io)
  for (const text of ['a', 'b']) await pages.draw(async (held) => held.stdout.write(page(text)))
  expect(written()).toBe('a\nb\n')
})
