import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { array, assert, asyncProperty, stringMatching, subarray } from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type LetIn,
  keepLetIn,
  letIn,
  parseLetIn,
  showLetIn,
  undoLetIn,
} from '../../src/provision/authorized-keys.ts'

const fleet = '4f0c2f6e'
const [ana, ben]: LetIn[] = ['ana', 'ben'].map((name) => ({ name, key: `ssh-ed25519 AAAA${name}` }))

let home: string
let file: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'keys-'))
  file = join(home, '.ssh/authorized_keys')
})

afterAll(() => rm(home, { recursive: true, force: true }))

const sh = (input: string): string =>
  execFileSync('sh', { input, encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: home } })

const there = (): readonly LetIn[] => parseLetIn(sh(showLetIn(fleet)))

test('keys come into a file that is not there yet, and go again', async () => {
  expect(there()).toEqual([])
  sh(letIn(fleet, [ana, ben] as LetIn[]))
  expect(there()).toEqual([ana, ben])
  sh(letIn(fleet, []))
  sh(keepLetIn(fleet))
  expect(await readFile(file, 'utf8')).toBe('')
})

test('whatever other lines there are, they stay, and what was changed can be undone', async () => {
  const line = stringMatching(/^[ -~]{0,30}$/)
  const keys = subarray([ana, ben] as LetIn[])
  await mkdir(join(home, '.ssh'), { recursive: true })
  await assert(
    asyncProperty(array(line), keys, keys, async (lines, first, second) => {
      const text = lines.map((one) => `${one}\n`).join('')
      await writeFile(file, text)
      sh(letIn(fleet, first))
      sh(keepLetIn(fleet))
      const between = await readFile(file, 'utf8')
      expect(there()).toEqual(first)
      sh(letIn(fleet, second))
      expect(there()).toEqual(second)
      expect((await readFile(file, 'utf8')).startsWith(text)).toBe(true)
      sh(undoLetIn(fleet))
      expect(await readFile(file, 'utf8')).toBe(between)
    }),
    { numRuns: 25 },
  )
})

test('a block that lost its end is nobody’s: its lines stay', async () => {
  const text = `# fleet ${fleet} operators: begin\nssh-ed25519 AAAAx x\nssh-ed25519 AAAAy y\n`
  await writeFile(file, text)
  sh(letIn(fleet, []))
  expect(await readFile(file, 'utf8')).toBe(text)
})

test('another fleet’s block stays', async () => {
  await writeFile(file, '')
  sh(letIn('00000000', [ben] as LetIn[]))
  sh(letIn(fleet, [ana] as LetIn[]))
  sh(letIn(fleet, []))
  expect(there()).toEqual([])
  expect(parseLetIn(sh(showLetIn('00000000')))).toEqual([ben])
})
