import { execFileSync, spawnSync } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { escapeRoff, writeManPages } from '../../../../scripts/man-pages.ts'
import { commandList } from '../../../../src/commands/index.ts'
import { repository } from './pages.ts'

const folder = join(repository, 'man')
const has = (program: string): boolean =>
  spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined

/** Renders a page for a terminal, without page breaks. */
function render(text: string): string {
  return execFileSync('groff', ['-man', '-Tutf8', '-P-c', '-P-b', '-P-o', '-P-u', '-ww'], {
    input: text,
    encoding: 'utf8',
  })
}

describe('manual pages written by `npm run docs`', () => {
  const pages = writeManPages(commandList)

  it('match the files in man/, which has no other files (npm run docs)', async () => {
    const names = (await readdir(folder)).toSorted()
    expect(names).toEqual(pages.map(({ file }) => file).toSorted())
    for (const { file, text } of pages) {
      expect({ file, text: await readFile(join(folder, file), 'utf8') }).toEqual({ file, text })
    }
  })

  it('are all listed in package.json, so that npm installs them', async () => {
    const manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as {
      man: string[]
    }
    expect(manifest.man).toEqual(pages.map(({ file }) => `./man/${file}`).toSorted())
  })

  it.skipIf(!has('groff'))('cause no warnings in groff', () => {
    const files = pages.map(({ file }) => join(folder, file))
    const { status, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-z', ...files], {
      encoding: 'utf8',
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  it.skipIf(!has('man'))('cause no warnings in man', () => {
    const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80' }
    const files = ['fleet.1', 'fleet-ps.1', 'fleet-snapshot.1', 'fleet-options.7'].map((file) =>
      join(folder, file),
    )
    const { status, stderr, stdout } = spawnSync('man', ['--warnings', '-l', ...files], {
      env: { ...env, MANPAGER: 'cat' },
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain('--all-containers')
  })
})

describe('text in a manual page', () => {
  const lines = fc.array(
    fc
      .string({
        unit: fc.oneof(
          fc.constantFrom(...String.raw`\ . ' - " ^ ~ %`.split(' '), '`'),
          fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 1 }),
          fc.constantFrom('é', 'ß', '…', '→', '“'),
        ),
        minLength: 1,
        maxLength: 60,
      })
      .map((line) => line.trimEnd())
      .filter((line) => line !== ''),
    { minLength: 1, maxLength: 50 },
  )

  it('starts no request, and has only the escapes that escapeRoff writes', () => {
    fc.assert(
      fc.property(lines, (texts) => {
        for (const text of texts) {
          const escaped = escapeRoff(text)
          expect(escaped).not.toMatch(/^[.']/)
          expect(escaped).not.toMatch(/[\n\r\0]/)
          expect(
            escaped.replaceAll(/\\(?:e|-|&|\(aq|\(ga|\(ha|\(ti|\(dq|\[u[\dA-F]{4,6}\])/g, ''),
          ).not.toContain('\\')
        }
      }),
    )
  })

  it.skipIf(!has('groff'))('is shown by groff unchanged', () => {
    fc.assert(
      fc.property(lines, (texts) => {
        const page = ['.TH X 1', '.SH X', '.nf', '.ll 500n', '.in 0', ...texts.map(escapeRoff)]
        const shown = render(`${page.join('\n')}\n`).split('\n')
        for (const text of texts) expect(shown).toContain(text)
      }),
      { numRuns: 10 },
    )
  })
})
