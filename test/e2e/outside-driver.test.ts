import { execFileSync, spawn } from 'node:child_process'
import { cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { finish } from '../support/lab/process.ts'
import { type Person, makePerson } from '../support/person.ts'

const root = join(import.meta.dirname, '../..')
const example = join(root, 'examples/fleet-driver-example')

/** Packs the package in `folder` into `into`, and gives the tarball's path. */
function pack(folder: string, into: string): string {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', into]
  const answer = execFileSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' })
  const [packed] = JSON.parse(answer) as [{ filename: string }]
  return join(into, packed.filename)
}

describe('a driver package, installed next to the inventory', () => {
  let ana: Person

  beforeAll(async () => {
    ana = await makePerson()
    const tarballs = join(ana.home, 'tarballs')
    await mkdir(tarballs)
    const packed = [root, example, join(root, 'node_modules/zod')].map((it) => pack(it, tarballs))
    const install = ['install', '--offline', '--no-audit', '--no-fund', ...packed]
    execFileSync('npm', install, { cwd: ana.folder, stdio: 'pipe' })
  })

  afterAll(() => ana[Symbol.asyncDispose]())

  test('keeps the contract, by the suite that fleet exports', async () => {
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

  test('is checked against the types that fleet exports', async () => {
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
})
