import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { array, assert, asyncProperty, stringMatching, subarray } from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type AuthorizedKey,
  commitAuthorizedKeys,
  installAuthorizedKeys,
  parseAuthorizedKeys,
  listAuthorizedKeys,
  rollbackAuthorizedKeys,
} from '../../../src/provision/host/authorized-keys.ts'

const fleet = '4f0c2f6e'
const [ana, ben]: AuthorizedKey[] = ['ana', 'ben'].map((name) => ({
  name,
  key: `ssh-ed25519 AAAA${name}`,
}))

let home: string
let file: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'keys-'))
  file = join(home, '.ssh/authorized_keys')
})

afterAll(() => rm(home, { recursive: true, force: true }))

const sh = (input: string): string =>
  execFileSync('sh', { input, encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: home } })

const there = (): readonly AuthorizedKey[] =>
  parseAuthorizedKeys(sh(listAuthorizedKeys(fleet))).block

test('adds keys to a file that does not exist yet, and removes them', async () => {
  expect(there()).toEqual([])
  sh(installAuthorizedKeys(fleet, { keys: [ana, ben] as AuthorizedKey[] }))
  expect(there()).toEqual([ana, ben])
  sh(installAuthorizedKeys(fleet, { keys: [] }))
  sh(commitAuthorizedKeys(fleet))
  expect(await readFile(file, 'utf8')).toBe('')
})

test('keeps all other lines, and can undo a change', async () => {
  const line = stringMatching(/^[ -~]{0,30}$/)
  const keys = subarray([ana, ben] as AuthorizedKey[])
  await mkdir(join(home, '.ssh'), { recursive: true })
  await assert(
    asyncProperty(array(line), keys, keys, async (lines, first, second) => {
      const text = lines.map((one) => `${one}\n`).join('')
      await writeFile(file, text)
      sh(installAuthorizedKeys(fleet, { keys: first }))
      sh(commitAuthorizedKeys(fleet))
      const between = await readFile(file, 'utf8')
      expect(there()).toEqual(first)
      sh(installAuthorizedKeys(fleet, { keys: second }))
      expect(there()).toEqual(second)
      expect((await readFile(file, 'utf8')).startsWith(text)).toBe(true)
      sh(rollbackAuthorizedKeys(fleet))
      expect(await readFile(file, 'utf8')).toBe(between)
    }),
    { numRuns: 25 },
  )
})

test('keeps a block whose end marker is missing', async () => {
  const text = `# fleet ${fleet} operators: begin\nssh-ed25519 AAAAx x\nssh-ed25519 AAAAy y\n`
  await writeFile(file, text)
  sh(installAuthorizedKeys(fleet, { keys: [] }))
  expect(await readFile(file, 'utf8')).toBe(text)
})

test('keeps the block of another fleet', async () => {
  await writeFile(file, '')
  sh(installAuthorizedKeys('00000000', { keys: [ben] as AuthorizedKey[] }))
  sh(installAuthorizedKeys(fleet, { keys: [ana] as AuthorizedKey[] }))
  sh(installAuthorizedKeys(fleet, { keys: [] }))
  expect(there()).toEqual([])
  expect(parseAuthorizedKeys(sh(listAuthorizedKeys('00000000'))).block).toEqual([ben])
})

const second = () => join(home, '.ssh/authorized_keys2')
const text = (lines: readonly string[]) => lines.map((one) => `${one}\n`).join('')

describe('a revoked key', () => {
  const key = ana?.key ?? ''
  const revoke = () =>
    installAuthorizedKeys(fleet, { keys: [ben] as AuthorizedKey[], revoked: [key] })

  test('is removed from every line that authorizes it, with any options and comments, and from no others', async () => {
    await writeFile(file, '')
    sh(installAuthorizedKeys(fleet, { keys: [ana, ben] as AuthorizedKey[] }))
    sh(installAuthorizedKeys('00000000', { keys: [ana] as AuthorizedKey[] }))
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
    expect(parseAuthorizedKeys(sh(listAuthorizedKeys(fleet)))).toEqual({
      block: [ana, ben],
      elsewhere: new Set([key, ben?.key]),
    })
    sh(revoke())
    const left = stays.map((line) => `${line}\n`).join('')
    expect(await readFile(file, 'utf8')).toBe(
      `${left}# fleet 00000000 operators: begin\n${key} ana\n# fleet 00000000 operators: end\n${left}# fleet ${fleet} operators: begin\n${ben?.key} ben\n# fleet ${fleet} operators: end\n`,
    )
    expect(await readFile(second(), 'utf8')).toBe(`${left}last ${ben?.key}\n`)
    sh(rollbackAuthorizedKeys(fleet))
    expect(await readFile(file, 'utf8')).toBe(`${both}${blocks}${both}`)
    expect(await readFile(second(), 'utf8')).toBe(`${both}last ${ben?.key}`)
    sh(revoke())
    sh(commitAuthorizedKeys(fleet))
    expect((await readdir(join(home, '.ssh'))).toSorted()).toEqual([
      'authorized_keys',
      'authorized_keys2',
    ])
    await rm(second())
  })

  test('is removed even after a marker that starts a block without an end', async () => {
    await writeFile(file, `# fleet 99999999 operators: begin\n${key} ana\n`)
    sh(revoke())
    expect(await readFile(file, 'utf8')).not.toContain(key)
  })

  test('is removed among arbitrary lines, which are kept', async () => {
    const word = stringMatching(/^[!-~]{1,8}$/)
    const line = array(word, { maxLength: 4 }).map((words) => words.join(' '))
    await assert(
      asyncProperty(
        array(line, { maxLength: 5 }),
        array(line, { maxLength: 5 }),
        async (some, others) => {
          await writeFile(file, `${text(some)}${key} x\n${text(others)}`)
          sh(installAuthorizedKeys(fleet, { keys: [], revoked: [key] }))
          expect(await readFile(file, 'utf8')).toBe(text([...some, ...others]))
        },
      ),
      { numRuns: 25 },
    )
  })
})
