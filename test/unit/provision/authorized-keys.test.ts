import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { array, assert, asyncProperty, stringMatching, subarray } from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type LetIn,
  keepLetIn,
  letIn,
  parseLetIn,
  showLetIn,
  undoLetIn,
} from '../../../src/provision/host/authorized-keys.ts'

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

const there = (): readonly LetIn[] => parseLetIn(sh(showLetIn(fleet))).block

test('keys come into a file that is not there yet, and go again', async () => {
  expect(there()).toEqual([])
  sh(letIn(fleet, { keys: [ana, ben] as LetIn[] }))
  expect(there()).toEqual([ana, ben])
  sh(letIn(fleet, { keys: [] }))
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
      sh(letIn(fleet, { keys: first }))
      sh(keepLetIn(fleet))
      const between = await readFile(file, 'utf8')
      expect(there()).toEqual(first)
      sh(letIn(fleet, { keys: second }))
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
  sh(letIn(fleet, { keys: [] }))
  expect(await readFile(file, 'utf8')).toBe(text)
})

test('another fleet’s block stays', async () => {
  await writeFile(file, '')
  sh(letIn('00000000', { keys: [ben] as LetIn[] }))
  sh(letIn(fleet, { keys: [ana] as LetIn[] }))
  sh(letIn(fleet, { keys: [] }))
  expect(there()).toEqual([])
  expect(parseLetIn(sh(showLetIn('00000000'))).block).toEqual([ben])
})

const second = () => join(home, '.ssh/authorized_keys2')
const text = (lines: readonly string[]) => lines.map((one) => `${one}\n`).join('')

describe('a key that is revoked', () => {
  const key = ana?.key ?? ''
  const revoke = () => letIn(fleet, { keys: [ben] as LetIn[], revoked: [key] })

  test('goes out of every line that lets exactly it in, whatever stands around it, and nothing else does', async () => {
    await writeFile(file, '')
    sh(letIn(fleet, { keys: [ana, ben] as LetIn[] }))
    sh(letIn('00000000', { keys: [ana] as LetIn[] }))
    const blocks = await readFile(file, 'utf8')
    const gone = [key, `${key} ana@laptop`, `from="10.0.0.1",command="x y" ${key} z`, `\t${key}\r`]
    const stays = [
      `# ${key}`,
      `${key}x`,
      'ssh-ed25519 AAAAx ana',
      `ssh-rsa ${key.split(' ')[1]}`,
      '',
    ]
    const both = [...gone, ...stays].map((line) => `${line}\n`).join('')
    await writeFile(file, `${both}${blocks}${both}`)
    await writeFile(second(), `${both}last ${ben?.key}`)
    expect(parseLetIn(sh(showLetIn(fleet)))).toEqual({
      block: [ana, ben],
      outside: new Set([key, ben?.key]),
    })
    sh(revoke())
    const left = stays.map((line) => `${line}\n`).join('')
    expect(await readFile(file, 'utf8')).toBe(
      `${left}# fleet 00000000 operators: begin\n${key} ana\n# fleet 00000000 operators: end\n${left}# fleet ${fleet} operators: begin\n${ben?.key} ben\n# fleet ${fleet} operators: end\n`,
    )
    expect(await readFile(second(), 'utf8')).toBe(`${left}last ${ben?.key}\n`)
    sh(undoLetIn(fleet))
    expect(await readFile(file, 'utf8')).toBe(`${both}${blocks}${both}`)
    expect(await readFile(second(), 'utf8')).toBe(`${both}last ${ben?.key}`)
    sh(revoke())
    sh(keepLetIn(fleet))
    expect((await readdir(join(home, '.ssh'))).toSorted()).toEqual([
      'authorized_keys',
      'authorized_keys2',
    ])
    await rm(second())
  })

  test('cannot hide behind a marker that begins a block and ends none', async () => {
    await writeFile(file, `# fleet 99999999 operators: begin\n${key} ana\n`)
    sh(revoke())
    expect(await readFile(file, 'utf8')).not.toContain(key)
  })

  test('goes whatever other lines there are, which stay', async () => {
    const word = stringMatching(/^[!-~]{1,8}$/)
    const line = array(word, { maxLength: 4 }).map((words) => words.join(' '))
    await assert(
      asyncProperty(
        array(line, { maxLength: 5 }),
        array(line, { maxLength: 5 }),
        async (some, others) => {
          await writeFile(file, `${text(some)}${key} x\n${text(others)}`)
          sh(letIn(fleet, { keys: [], revoked: [key] }))
          expect(await readFile(file, 'utf8')).toBe(text([...some, ...others]))
        },
      ),
      { numRuns: 25 },
    )
  })
})
