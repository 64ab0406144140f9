import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { typedWords } from '../../../src/cli/argv.ts'
import { findNode } from '../../support/process/node-releases.ts'
import { program } from '../../support/test-user.ts'

let folder: string
let env: Record<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-launcher-'))
  await writeFile(
    join(folder, 'show.cjs'),
    'console.log(JSON.stringify({ argv: process.argv, env: process.env, cwd: process.cwd() }));process.exit(7)',
  )
  await writeFile(join(folder, 'evil.cjs'), 'console.log("evil");process.exit(66)')
  await writeFile(
    join(folder, 'app.env'),
    `NODE_OPTIONS=--require ${join(folder, 'evil.cjs')}\nLEAKED=yes\n`,
  )
  await writeFile(join(folder, 'node.config.json'), '{"nodeOptions":{"import":"./evil.cjs"}}')
  await symlink(program, join(folder, 'fleet'))
  env = {
    PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
    FLEET_HOME: join(folder, 'home'),
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/**
 * Runs the launcher with `shell` or the script's own interpreter. Returns the arguments and environment that Node.js
 * receives.
 */
function launch(
  words: readonly string[],
  { path, shell }: { path?: string; shell?: string[] } = {},
) {
  const argv = [...(shell ?? []), join(folder, 'fleet'), ...words]
  const { stdout, status } = spawnSync(argv[0] ?? '', argv.slice(1), {
    cwd: folder,
    env: {
      ...env,
      ...(path && { PATH: `${path}:${env['PATH']}` }),
      NODE_OPTIONS: `--require=${join(folder, 'show.cjs')}`,
    },
    encoding: 'utf8',
  })
  expect({ stdout, status }).toEqual({ stdout: expect.stringMatching(/^\{.*\}\n$/), status: 7 })
  const shown = JSON.parse(stdout) as { argv: string[]; env: Record<string, string>; cwd: string }
  expect(shown.cwd).toBe(folder)
  return { words: typedWords(shown.argv.slice(2)), env: shown.env, script: shown.argv[1] }
}

const scanned = [
  ['--env-file', 'app.env'],
  ['--env-file=app.env'],
  ['--env-file=missing'],
  ['--env-file-if-exists=app.env'],
  ['--experimental-config-file=missing'],
  ['--experimental-config-file', 'node.config.json'],
  ['--experimental-default-config-file'],
  ['--', '--env-file', 'app.env'],
]

describe('the launcher', () => {
  test.each(['sh', 'bash', 'busybox'])('passes every argument unchanged, with %s', (name) => {
    const shell = name === 'busybox' ? ['/bin/busybox', 'sh'] : [`/bin/${name}`]
    const odd = fc.constantFrom(
      '',
      ' ',
      ':',
      '-',
      '--',
      '::',
      '*',
      '$0',
      '`id`',
      "'",
      '"',
      '\\',
      '\n',
      '~',
    )
    const word = fc.oneof(
      odd,
      fc.string({ unit: 'grapheme' }),
      fc.array(odd).map((all) => all.join('')),
    )
    const words = fc.array(word.map((text) => text.replaceAll('\0', ''))) // arguments cannot contain NUL
    fc.assert(
      fc.property(words, (typed) => {
        expect(launch(typed, { shell }).words).toEqual(typed)
      }),
      { numRuns: 25 },
    )
  })

  test('passes thousands of arguments', () => {
    const typed = Array.from({ length: 5_000 }, (_, index) => `${'-:'[index % 3] ?? ''}${index}`)
    expect(launch(typed).words).toEqual(typed)
  })

  test('does not change the environment', () => {
    const { env: seen, script } = launch(['ps'])
    expect(Object.keys(seen).filter((name) => name.startsWith('fleet'))).toEqual([])
    expect(seen).toMatchObject(env)
    expect(script).toBe(join(folder, 'fleet'))
  })

  test('reports a missing Node.js', () => {
    const { status, stderr } = spawnSync(join(folder, 'fleet'), ['ps'], {
      env: { PATH: folder },
      encoding: 'utf8',
    })
    expect(status).toBe(127)
    expect(stderr).toBe('fleet: cannot find node on the PATH; install Node.js 20.19 or later\n')
  })

  /** The Node.js that runs the tests, and the latest version of each later release line that fleet supports. */
  const releases = [
    { release: 'that runs the tests', major: undefined },
    ...[22, 24, 26].map((major) => ({ release: String(major), major })),
  ]
  test.for(releases)('hides arguments from Node.js $release', async ({ major }, { skip }) => {
    const path = major && (await findNode(major).catch((error: unknown) => skip(String(error))))
    for (const words of scanned) {
      const typed = ['run', ...words, 'image']
      const shown = launch(typed, { ...(path && { path }) })
      expect(shown.words).toEqual(typed)
      expect(shown.env).not.toHaveProperty('LEAKED')
      const { status, stderr, stdout } = spawnSync(join(folder, 'fleet'), ['use', ...words, 'm'], {
        cwd: folder,
        env: { ...env, ...(path && { PATH: `${path}:${env['PATH']}` }) },
        encoding: 'utf8',
      })
      expect({ status, stderr, stdout }).toMatchObject({ status: 2, stdout: '' })
      expect(stderr).toMatch(/^fleet: /)
    }
  })
})
