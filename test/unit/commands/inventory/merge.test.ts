import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../../../src/cli/program.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-merge-'))
  execFileSync('git', ['init', '-q', folder])
  await writeFile(join(folder, 'machines.yaml'), 'version: 1\nid: 0123abcd\nmachines: {}\n')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test('fleet merge --install --json prints the written files as JSON, without other messages', async () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const io = {
    ...{ stdin: new PassThrough(), stdout, stderr, cwd: folder },
    env: { PATH: process.env['PATH'], HOME: folder, FLEET_HOME: join(folder, 'home') },
    signal: new AbortController().signal,
  }
  const args = ['merge', '--install', '--json', '--inventory', join(folder, 'machines.yaml')]
  expect(await runCli(args, { io, version: '0' })).toBe(0)
  const files = ['.gitignore', '.gitattributes'].map((name) => join(folder, name))
  expect(JSON.parse(String(stdout.read()))).toEqual({ files })
  expect(stderr.read()).toBeNull()
  const [ignore = '', attributes = ''] = files
  expect(await readFile(ignore, 'utf8')).toBe('/machines.yaml.*\n')
  expect(await readFile(attributes, 'utf8')).toContain('merge=fleet')
})
