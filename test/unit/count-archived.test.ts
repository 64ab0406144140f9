import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { countArchived } from '../../src/operations/count-archived.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleet-count-'))
  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'in/empty'), '')
  writeFileSync(join(folder, 'in/small'), 'abc')
  writeFileSync(join(folder, `in/${'long'.repeat(50)}`), Buffer.alloc(100_000, 1))
  symlinkSync('small', join(folder, 'in/link'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const tar = (...words: string[]): Buffer =>
  spawnSync('tar', ['-C', folder, ...words], { maxBuffer: 1e9 }).stdout

describe('the bytes of files in an archive', () => {
  it.each(['gnu', 'pax', 'ustar'])('are counted in the format %s, however it is cut', (format) => {
    const long = format === 'ustar' ? ['--exclude=long*'] : []
    const archive = tar('-c', `--format=${format}`, ...long, 'in')
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60_000 })), (sizes) => {
        const count = countArchived()
        let at = 0
        for (const size of [...sizes, archive.length]) {
          count(archive.subarray(at, at + size))
          at += size
        }
        expect(count(Buffer.alloc(0))).toBe(format === 'ustar' ? 3 : 100_003)
      }),
    )
  })

  it('are counted where a size takes more than eleven digits', () => {
    const huge = 9 * 1024 ** 3
    const file = join(folder, 'huge')
    writeFileSync(file, '')
    truncateSync(file, huge)
    for (const format of ['gnu', 'pax']) {
      const { stdout } = spawnSync(
        'sh',
        ['-c', `tar -C ${folder} -c --format=${format} huge 2>/dev/null | head -c 4096`],
        { maxBuffer: 1e6 },
      )
      const count = countArchived()
      const seen = count(stdout)
      expect(seen).toBeGreaterThan(500)
      const block = Buffer.alloc(1024 ** 2 * 512)
      for (let index = 0; index < 18; index += 1) count(block)
      expect(count(Buffer.alloc(4096))).toBe(huge)
    }
  })
})
