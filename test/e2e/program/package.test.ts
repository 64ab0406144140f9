import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '../../..')

/** A package's entry in the output of `npm pack --json`. */
interface Packed {
  readonly filename: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

describe('the package', () => {
  let folder: string
  let packed: Packed
  const bin = () => join(folder, 'global/bin/fleet')
  const env = { ...process.env, PATH: process.env['PATH'] ?? '' }
  const fleetEnv = () => ({ ...env, FLEET_HOME: join(folder, 'home') })
  const npm = (...args: string[]) =>
    execFileSync('npm', args, { cwd: root, env, encoding: 'utf8', stdio: 'pipe' })

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-package-'))
    // The build exists; packing with scripts would replace it while other tests are using it.
    const answer = npm('pack', '--json', '--ignore-scripts', '--pack-destination', folder)
    ;[packed] = JSON.parse(answer) as [Packed]
    const tarball = join(folder, packed.filename)
    npm('install', '--global', '--offline', '--prefix', join(folder, 'global'), tarball)
  })

  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('contains the program, which includes the schema, and the texts', () => {
    const files = packed.files.map(({ path }) => path)
    const parts = /^(?:dist\/(?:chunks|types)|docs|man)\//
    expect(files.filter((path) => !parts.test(path)).sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'dist/THIRD-PARTY-LICENSES.txt',
      'dist/driver-contract.js',
      'dist/driver.js',
      'dist/main.js',
      'dist/package.json',
      'machines.example.yaml',
      'package.json',
      'scripts/windows-shims.mjs',
    ])
    expect(packed.size).toBeLessThan(1_550_000)
  })

  test('installs fleet in PATH, and nothing else', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      version: string
    }
    expect(execFileSync(bin(), ['--version'], { env: fleetEnv(), encoding: 'utf8' })).toBe(
      `${version}\n`,
    )
    expect(execFileSync(bin(), ['--help'], { env: fleetEnv(), encoding: 'utf8' })).toContain(
      'adopt',
    )
    await expect(
      stat(join(folder, 'global/lib/node_modules/fleet/node_modules')),
    ).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('installs the manual pages', async () => {
    const manual = join(folder, 'global/share/man')
    expect(await readFile(join(manual, 'man1/fleet-ps.1'), 'utf8')).toContain('list containers')
    expect(await readFile(join(manual, 'man7/fleet-selectors.7'), 'utf8')).toContain('web')
    expect((await readdir(join(manual, 'man1'))).length).toBeGreaterThan(50)
  })

  test('hides the arguments of the program from Node.js', () => {
    const { status, stderr } = spawnSync(bin(), ['use', '--env-file=missing', 'm'], {
      env: fleetEnv(),
      encoding: 'utf8',
    })
    expect({ status, stderr }).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^fleet: /),
    })
  })

  test('runs from the installation directory', () => {
    execFileSync(bin(), ['init', 'ops'], { cwd: folder, env: fleetEnv(), stdio: 'pipe' })
    const listed = execFileSync(bin(), ['ls', '--json'], {
      cwd: join(folder, 'ops'),
      env: fleetEnv(),
      encoding: 'utf8',
    })
    expect(JSON.parse(listed)).toEqual([])
  })

  test('lists the license of every bundled package', async () => {
    const licenses = await readFile(join(root, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8')
    for (const name of ['commander', 'ssh2', 'yaml', 'zod']) {
      expect(licenses).toMatch(new RegExp(`^${name} \\d`, 'm'))
    }
  })
})
