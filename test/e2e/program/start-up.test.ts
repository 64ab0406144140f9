import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'

/** Part of esbuild's metafile with the inputs and imports of each output file. */
interface Metafile {
  readonly outputs: Readonly<
    Record<
      string,
      {
        readonly entryPoint?: string
        readonly inputs: Readonly<Record<string, unknown>>
        readonly imports: readonly { readonly path: string; readonly kind: string }[]
      }
    >
  >
}

const root = join(import.meta.dirname, '../../..')
const { outputs } = JSON.parse(await readFile(join(root, 'dist/meta.json'), 'utf8')) as Metafile

/** Returns the output file with the entry point `source`. */
function outputOf(source: string): string {
  const found = Object.entries(outputs).find(([, { entryPoint }]) => entryPoint === source)
  if (found === undefined) throw new Error(`${source} is no entry point`)
  return found[0]
}

/** Returns all files that are loaded with `output`, directly or indirectly. */
function loadedWith(output: string, seen = new Set<string>()): Set<string> {
  if (seen.has(output)) return seen
  seen.add(output)
  for (const { path, kind } of outputs[output]?.imports ?? []) {
    if (kind === 'import-statement' && path in outputs) loadedWith(path, seen)
  }
  return seen
}

const packagesIn = (files: Iterable<string>): Set<string> =>
  new Set(
    [...files]
      .flatMap((file) => Object.keys(outputs[file]?.inputs ?? {}))
      .flatMap((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? []),
  )

describe('start-up loads', () => {
  test('one file, and no package, for --version and for requests to the broker', () => {
    const file = outputOf('src/main.ts')
    expect(Object.keys(outputs[file]?.inputs ?? {})).toContain('src/cli/ask-broker.ts')
    expect([...loadedWith(file)]).toEqual([file])
    expect(packagesIn([file])).toEqual(new Set())
  })

  test('no module of Node.js for --version', () => {
    const env = { ...process.env, NODE_DEBUG: 'module' }
    const main = join(root, 'dist/main.js')
    const { stdout, stderr } = spawnSync(process.execPath, [main, '--version'], {
      env,
      encoding: 'utf8',
    })
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(stderr).not.toContain('node:')
  })

  test('nothing with import(), which would prevent caching of the compiled code', async () => {
    for (const source of [
      'src/cli/process.ts',
      'src/cli/run-broker.ts',
      'src/transport/ssh/connect.ts',
    ]) {
      for (const file of loadedWith(outputOf(source)))
        expect(await readFile(join(root, file), 'utf8')).not.toContain('import(')
    }
  })

  test('only packages that parse the command line and color text for --help', () => {
    expect(packagesIn(loadedWith(outputOf('src/cli/process.ts')))).toEqual(
      new Set(['commander', 'picocolors']),
    )
  })

  test('only fleet’s own code and one for similar names to reach a machine through the broker', () => {
    expect(packagesIn(loadedWith(outputOf('src/broker/client/client.ts')))).toEqual(new Set())
    const describing = packagesIn(loadedWith(outputOf('src/operations/connect/broker-target.ts')))
    expect(describing).toEqual(new Set(['fastest-levenshtein']))
  })

  test('only fleet’s own code for the broker', () => {
    expect(packagesIn(loadedWith(outputOf('src/cli/run-broker.ts')))).toEqual(new Set())
  })

  test('the cached compiled code, unless it is damaged or writable by others', async () => {
    const home = await mkdtemp(join(tmpdir(), 'fleet-home-'))
    onTestFinished(() => rm(home, { recursive: true }))
    const main = join(root, 'dist/main.js')
    const env = { ...process.env, FLEET_HOME: home, FLEET_BROKER: 'off' }
    const help = () => execFileSync(process.execPath, [main, '--help'], { env, encoding: 'utf8' })
    const first = help()
    const folder = join(home, 'cache/code')
    const [name = ''] = await readdir(folder)
    const file = join(folder, name)
    const state = async () => [
      (await stat(file)).ino,
      ((await stat(file)).mode & 0o777).toString(8),
    ]
    const kept = await state()
    expect(kept[1]).toBe('600')
    expect(help()).toBe(first)
    expect(await state()).toEqual(kept)
    const bytes = await readFile(file)
    for (let at = bytes.indexOf('\n') + 1; at < bytes.length; at += 997) bytes[at] = 0x55
    await writeFile(file, bytes)
    expect(help()).toBe(first)
    const anew = await state()
    expect(anew).not.toEqual(kept)
    await chmod(file, 0o666)
    expect(help()).toBe(first)
    expect(await state()).not.toEqual(anew)
  })

  test('separate cached code for each frequent command', async () => {
    const home = await mkdtemp(join(tmpdir(), 'fleet-home-'))
    onTestFinished(() => rm(home, { recursive: true }))
    const env = { ...process.env, FLEET_HOME: home, FLEET_BROKER: 'off' }
    const kept = async (...words: string[]) => {
      const before = await readdir(join(home, 'cache/code')).catch((): string[] => [])
      execFileSync(process.execPath, [join(root, 'dist/main.js'), ...words], { env })
      const after = await readdir(join(home, 'cache/code'))
      return after.filter((name) => !before.includes(name)).map((name) => name.split('-').at(-1))
    }
    expect(await kept('ls', '--help')).toEqual(['ls'])
    expect(await kept('--machine', 'web-1', 'ps', '--help')).toEqual(['ps'])
    expect(await kept('plan', '--help')).toEqual(['other'])
    expect(await kept('gc', '--help')).toEqual([])
  })

  test('neither the server nor the HTTP agents of ssh2', async () => {
    const loaded = loadedWith(outputOf('src/transport/ssh/connect.ts'))
    const sources = await Promise.all([...loaded].map((file) => readFile(join(root, file), 'utf8')))
    expect(sources.join('')).toContain('curve25519-sha256')
    expect(sources.join('')).not.toContain('require("https")')
  })

  test('heavy packages only on use, although all are in the bundle', () => {
    const all = packagesIn(Object.keys(outputs))
    for (const name of [
      'ssh2',
      'inquirer',
      'zod',
      'yaml',
      'proper-lockfile',
      'string-width',
      '@aws-sdk/client-ec2',
      '@azure/arm-compute',
      '@azure/identity',
    ])
      expect(all).toContain(name)
  })

  test('nothing that only unused prompts need, which is not in the bundle', () => {
    const all = packagesIn(Object.keys(outputs))
    for (const name of ['iconv-lite', 'rxjs', '@inquirer/external-editor'])
      expect(all).not.toContain(name)
  })
})
