import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openCode } from '../../../src/cli/code-cache.ts'

/** Padding that makes a file too large for the cache file that small files share. */
const padding = `/* ${'x'.repeat(700_000)} */`

test('caches the code of large files in separate cache files, and does not read them for small files', async () => {
  const root = await mkdtemp(join(tmpdir(), 'fleet-code-'))
  onTestFinished(() => rm(root, { recursive: true }))
  const [bundle, cache] = [join(root, 'dist'), join(root, 'cache')]
  await mkdir(bundle)
  await writeFile(join(bundle, 'small.js'), 'exports.answer = () => 42')
  await writeFile(
    join(bundle, 'large.js'),
    `${padding}\nconst { answer } = require('./small.js')\nexports.twice = () => 2 * answer()`,
  )
  const state = async () => {
    const names = (await readdir(cache)).sort()
    return Promise.all(names.map(async (name) => [name, (await stat(join(cache, name))).ino]))
  }
  const modules = createRequire(import.meta.url).cache
  /** Loads a file as a new process would, and writes the compiled code to the cache. */
  const run = (name: string) => {
    for (const file of ['small.js', 'large.js']) delete modules[join(bundle, file)]
    const code = openCode(bundle, join(cache, 'other'))
    const exports = code.load(name) as { answer?: () => number; twice?: () => number }
    const answer = (exports.answer ?? exports.twice)?.()
    code.keep()
    return answer
  }

  expect(run('small.js')).toBe(42)
  const small = await state()
  expect(small.map(([name]) => name)).toEqual(['other'])
  expect(run('large.js')).toBe(84)
  const both = await state()
  expect(both.map(([name]) => name)).toEqual(['other', 'other-large'])
  expect(both[0]).toEqual(small[0])

  expect(run('large.js')).toBe(84)
  expect(run('small.js')).toBe(42)
  expect(await state()).toEqual(both)
  await writeFile(join(cache, 'other-large'), 'damaged')
  expect(run('large.js')).toBe(84)
  expect((await state())[1]).not.toEqual(both[1])
})
