import { execFileSync, spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { labIsHere, startLab } from '../../support/lab/lab.ts'
import { finish } from '../../support/lab/process.ts'
import {
  installDriver,
  installZod,
  zoneDriver,
} from '../../support/external-driver/driver-package.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

const root = join(import.meta.dirname, '../../..')
const example = join(root, 'examples/fleet-driver-example')

const install = (folder: string, ...args: readonly string[]): Buffer =>
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', ...args], {
    cwd: folder,
    stdio: 'pipe',
  })

/** Packs the package in `folder` into `into`. Returns the path of the tarball. */
function pack(folder: string, into: string): string {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', into]
  const answer = execFileSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
  const [packed] = JSON.parse(answer) as [{ filename: string }]
  return join(into, packed.filename)
}

/** Tarballs of fleet, the example, and its dependency zod, as npm would download them. */
let tarballs: { readonly folder: string; readonly paths: readonly string[] }

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-tarballs-'))
  const packages = [root, example, join(root, 'node_modules/zod')]
  tarballs = { folder, paths: packages.map((from) => pack(from, folder)) }
})

afterAll(() => rm(tarballs.folder, { recursive: true, force: true }))

describe('a driver package installed next to the inventory', () => {
  let ana: TestUser
  const fleet = (...args: string[]) => ana.fleet(args)

  beforeAll(async () => {
    ana = await makeTestUser()
    install(ana.folder, ...tarballs.paths)
    expect(await fleet('trust', 'example')).toMatchObject({ code: 0, stdout: '' })
  })

  afterAll(() => ana[Symbol.asyncDispose]())

  test('passes the conformance suite that fleet exports', async () => {
    await cp(join(example, 'test'), join(ana.folder, 'test'), { recursive: true })
    const run = spawn(process.execPath, ['--test', '--test-reporter=tap', 'test/'], {
      cwd: ana.folder,
      env: { ...ana.env },
    })
    const { code, stdout } = await finish(run)
    expect(stdout).toMatch(/^# fail 0$/m)
    expect(Number(/^# pass (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(15)
    expect(code).toBe(0)
  })

  test('passes type checking with the types that fleet exports', async () => {
    for (const types of ['@types', 'undici-types']) {
      await symlink(join(root, 'node_modules', types), join(ana.folder, 'node_modules', types))
    }
    const tsconfig = {
      compilerOptions: {
        ...{ allowJs: true, checkJs: true, noEmit: true, strict: true, skipLibCheck: false },
        ...{ exactOptionalPropertyTypes: true, target: 'es2023', module: 'nodenext' },
        ...{ types: ['node'], preserveSymlinks: true, maxNodeModuleJsDepth: 0 },
      },
      include: ['driver/**/*.js'],
    }
    await cp(example, join(ana.folder, 'driver'), { recursive: true })
    await writeFile(join(ana.folder, 'tsconfig.json'), JSON.stringify(tsconfig))
    const tsc = spawn(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'],
      {
        cwd: ana.folder,
      },
    )
    expect(await finish(tsc)).toMatchObject({ code: 0, stdout: '' })
    await rm(join(ana.folder, 'driver'), { recursive: true })
  })

  test('shows its options in --help and in completion', async () => {
    const help = await fleet('create', '--driver', 'example', '--help')
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toMatch(
      /--zone <zone>\s+Zone of the server \(one of north,\s+south; required\)/,
    )
    const { stdout } = await fleet('__complete', 'create', '--driver', 'example', '--zo')
    expect(stdout).toBe('--zone\tZone of the server (one of north, south; required)\n')
  })

  test('is completed by name, without running its code', async () => {
    await using bob = await makeTestUser()
    const ran = join(bob.folder, 'ran')
    await installDriver(
      bob.folder,
      'trap',
      `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(ran)}, '')`,
    )
    const text = (await bob.inventory()).replace(' {}', '\n  m: { driver: trap }')
    await writeFile(join(bob.folder, 'machines.yaml'), text)
    const complete = async (...words: string[]) =>
      (await bob.fleet(['__complete', ...words])).stdout
    expect(await complete('use', '')).toBe('m\ttrap\n')
    expect(await complete('create', '--driver', 't')).toBe('trap\tfleet-driver-trap\n')
    await expect(stat(ran)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('has the options of its machines checked', async () => {
    const before = await ana.inventory()
    const write = (options: string) =>
      writeFile(
        join(ana.folder, 'machines.yaml'),
        `version: 1\nid: 0123abcd\nmachines:\n  a: { driver: example, options: ${options} }\n`,
      )
    await write('{ zone: nort }')
    const wrong = await fleet('check')
    expect(wrong.code).toBe(4)
    expect(wrong.stderr).toMatch(
      /machines\.yaml:4:\d+: machines\.a\.options\.zone: expected "north" or "south", got "nort" \(did you mean "north"\?\)/,
    )
    expect((await fleet('plan')).stdout).toContain('--zone: expected one of north, south')
    expect(await fleet('ls', '--quiet')).toMatchObject({ code: 0, stdout: 'a\n', stderr: '' })
    await write('{ zone: north }')
    expect(await fleet('check')).toMatchObject({ code: 0 })
    await writeFile(join(ana.folder, 'machines.yaml'), before)
  })

  test('does not prevent machines from being listed if it is missing', async () => {
    const text = await readFile(join(ana.folder, 'machines.yaml'), 'utf8')
    const entry = '  b: { driver: elsewhere, options: { any: 1 } }\n'
    await writeFile(join(ana.folder, 'machines.yaml'), text.replace(' {}\n', `\n${entry}`))
    expect(await fleet('ls', '--quiet')).toMatchObject({ code: 0, stdout: 'b\n' })
    expect(await fleet('rm', '-y', 'b')).toMatchObject({
      code: 8,
      stderr: expect.stringContaining('its driver elsewhere is not installed'),
    })
    await writeFile(join(ana.folder, 'machines.yaml'), text)
  })
})

describe('a driver package in a clone', () => {
  let eve: TestUser
  let ran: string
  const trap = (text = '') =>
    installDriver(
      eve.folder,
      'acme',
      `import { appendFileSync } from 'node:fs'\nappendFileSync(${JSON.stringify(ran)}, process.argv.slice(2).join(' ') + '\\n')\n${text}\n${zoneDriver('acme')}`,
    )

  beforeAll(async () => {
    eve = await makeTestUser({ broker: true })
    ran = join(eve.folder, 'ran')
    await trap()
    await installZod(eve.folder)
    const host =
      '{ phase: ready, address: 127.0.0.1, port: 1, user: bob, hostKeys: [], id: x, token: 01234567-89ab-4cde-8f01-23456789abcd }'
    await writeFile(
      join(eve.folder, 'machines.yaml'),
      `version: 1\nid: 0123abcd\nmachines:\n  new: { driver: acme, options: { zone: x } }\n  old: { driver: acme, options: { zone: x }, host: ${host} }\n`,
    )
  })
  afterAll(() => eve[Symbol.asyncDispose]())

  const runs = () => readFile(ran, 'utf8').catch(() => '')

  test('does not run before the user trusts it, regardless of the command', async () => {
    const reading = ['ls', 'check', 'active', 'use old', 'inspect old', 'ip old', 'ps -m old']
    const needing = [
      'create new',
      'plan',
      'start old',
      'gc',
      'rm -y old',
      'create --driver acme --help',
    ]
    const others = [
      'ssh old true',
      'status old',
      'ls --live',
      'set old zone=y',
      'apply -y',
      '__complete create --driver acme --z',
    ]
    for (const words of [...reading, ...needing, ...others]) {
      const { code } = await eve.fleet(words.split(' '))
      expect([words, await runs()]).toEqual([words, ''])
      expect([words, code]).not.toEqual([words, 70])
    }
    for (const words of ['ls', 'check', 'inspect old']) {
      const { code, stderr } = await eve.fleet(words.split(' '))
      expect(code).toBe(0)
      expect(stderr).toMatch(/options.* acme[^]*fleet trust acme/)
    }
    for (const words of needing) {
      const { code, stdout, stderr } = await eve.fleet(words.split(' '))
      expect(code).not.toBe(0)
      expect(stdout + stderr).toContain('fleet trust acme')
    }
    expect(await eve.inventory()).toContain('old:')
  })

  test('runs while it is trusted and unchanged, but never in the broker', async () => {
    expect(await eve.fleet(['trust'])).toMatchObject({ code: 2 }) // there is no terminal for a prompt
    expect(await eve.fleet(['trust', 'acme'])).toMatchObject({ code: 0 })
    expect(await runs()).toBe('')
    expect((await eve.fleet(['check'])).stderr).toContain('no problems found')
    expect(await runs()).toMatch(/check\n$/)
    expect((await eve.fleet(['trust', 'ls'])).stdout).toMatch(/^acme\s+1\.2\.3\s+sha256:/m)

    await writeFile(ran, '')
    await writeFile(join(eve.folder, 'node_modules/zod/extra.js'), '')
    expect((await eve.fleet(['check'])).stderr).toContain('has changed since it was trusted')
    await trap('// other code')
    expect((await eve.fleet(['plan'])).stdout).toContain('fleet trust acme')
    expect(await eve.fleet(['trust', '--yes'])).toMatchObject({ code: 0 })
    expect(await runs()).toBe('')
    for (let turn = 0; turn < 3; turn += 1) await eve.fleet(['ps', '-m', 'old'])
    expect(await runs()).not.toContain('__broker')

    expect(await eve.fleet(['trust', 'rm', 'acme'])).toMatchObject({ code: 0 })
    await writeFile(ran, '')
    expect((await eve.fleet(['plan'])).stdout).toContain('fleet trust acme')
    expect(await runs()).toBe('')
  })
})

test('a driver package installed globally is available to the fleet installed there', async () => {
  await using ana = await makeTestUser()
  const prefix = join(ana.home, 'npm')
  install(ana.home, '--global', '--prefix', prefix, ...tarballs.paths)
  const help = execFileSync(join(prefix, 'bin/fleet'), ['create', '-d', 'example', '--help'], {
    cwd: ana.folder,
    env: ana.env,
    encoding: 'utf8',
  })
  expect(help).toContain('--zone <zone>')
})

describe.skipIf(!labIsHere)('a machine with a missing driver', () => {
  test('is listed, queried, and reached over SSH', async () => {
    await using lab = await startLab({ hosts: 1 })
    await using ana = await makeTestUser({ identity: lab.identity.file })
    const [host] = lab.hosts
    const adopt = ['adopt', `root@${host?.address}`, '--name', 'm', '--accept-new']
    expect(await ana.fleet(adopt)).toMatchObject({ code: 0 })
    const text = (await ana.inventory()).replace('driver: ssh', 'driver: elsewhere')
    await writeFile(join(ana.folder, 'machines.yaml'), text)
    expect(await ana.fleet(['ssh', 'm', '--', 'echo', 'hello'])).toMatchObject({
      code: 0,
      stdout: 'hello\n',
    })
    const listed = await ana.fleet(['ls', '--live', '--json'])
    expect(listed.stdout).toMatch(/"driver": ?"elsewhere"/)
    expect(listed.stdout).not.toContain('unreachable')
  })
})
