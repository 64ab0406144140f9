import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../../../..')
/** Files that people read or run, except those that npm and the build create. */
const places = ['README.md', 'CONTRIBUTING.md', 'package.json', 'machines.example.yaml']
const folders = ['docs', 'examples', 'src', 'scripts', 'test', '.ci']
const below = await Promise.all(
  folders.map(async (folder) => {
    const names = await readdir(join(root, folder), { recursive: true })
    return names.map((name) => `${folder}/${name}`)
  }),
)
const files = [...places, ...below.flat()].filter((file) => !file.includes('node_modules'))

/** Matches commands that can fetch packages from the registry, with the words that follow. */
const fetching =
  /\b(?:npm (?:i|install|add|x|exec|ci|init)|npx|pnpm (?:add|i|install|dlx|exec)|yarn (?:add|dlx)|bunx?(?: add| x)?)\b(?<words>[^\n`#;&|"']*)/g

const fetchesFleet = (text: string): boolean =>
  [...text.matchAll(fetching)].some(({ groups }) =>
    (groups?.['words'] ?? '').split(/\s+/).some((word) => /^fleet(?:@.*)?$/.test(word)),
  )

/**
 * The package `fleet` in npm's registry is not this project: a command that fetches it would run someone else's code.
 */
describe("commands that fetch the unrelated package fleet from npm's registry", () => {
  test.each([
    ['npm install fleet', true],
    ['npm i -g fleet@1', true],
    ['`npx -y fleet ls`', true],
    ['npm exec -- fleet ls', true],
    ['npm install --global .', false],
    ['npm install ./fleet-0.1.0.tgz zod@4', false],
    ['npm test # fleet', false],
  ])('are distinguished from harmless commands: %j', (text, expected) => {
    expect(fetchesFleet(text)).toBe(expected)
  })

  test('occur in no document, example, source or test', async () => {
    const texts = files.filter((file) => /\.(?:md|ts|mjs|js|json|ya?ml|sh)$/.test(file))
    const own = 'test/unit/drivers/external/npm-name.test.ts'
    const wrong: string[] = []
    for (const file of texts.filter((name) => name !== own)) {
      if (fetchesFleet(await readFile(join(root, file), 'utf8'))) wrong.push(file)
    }
    expect(wrong).toEqual([])
    expect(texts.length).toBeGreaterThan(100)
  })

  test('are not caused by a dependency on fleet other than a path, and this package is private', async () => {
    const manifests = files.filter((file) => file.endsWith('package.json'))
    expect(manifests).toContain('examples/fleet-driver-example/package.json')
    for (const file of manifests) {
      const manifest = JSON.parse(await readFile(join(root, file), 'utf8')) as Record<
        string,
        Record<string, string>
      >
      for (const kind of [
        'dependencies',
        'devDependencies',
        'peerDependencies',
        'optionalDependencies',
      ]) {
        expect([file, kind, manifest[kind]?.['fleet'] ?? 'file:']).toEqual([
          file,
          kind,
          expect.stringMatching(/^file:/),
        ])
      }
      expect([file, manifest['private']]).toEqual([file, true])
    }
    const docs = await readFile(join(root, 'docs/writing-a-driver.md'), 'utf8')
    expect(docs).not.toMatch(/(?:peerD|d)ependencies\.fleet/)
  })
})
