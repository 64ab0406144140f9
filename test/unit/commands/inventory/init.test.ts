import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runCli } from '../../../../src/cli/program.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-init-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function init(...options: readonly string[]): Promise<string> {
  const stderr = new PassThrough()
  const io = {
    ...{ stdin: new PassThrough(), stdout: new PassThrough(), stderr, cwd: folder },
    env: { PATH: process.env['PATH'], HOME: folder, FLEET_HOME: join(folder, 'home') },
    signal: new AbortController().signal,
  }
  expect(await runCli(['init', ...options], { io, version: '0' })).toBe(0)
  return String(stderr.read())
}

test('fleet init names the command to run once the directory is in a git repository', async () => {
  expect(await init()).toContain(
    'once the directory is in a git repository, run: fleet merge --install\n',
  )
})

test('fleet init in a git repository names no further command for git', async () => {
  execFileSync('git', ['init', '-q', folder])
  const messages = await init()
  expect(messages).toContain('machines.yaml')
  expect(messages).not.toContain('fleet merge')
})

test.each([[], ['--json']])(
  'fleet init %s tells why git does not use fleet merge, and what to run then',
  async (...options) => {
    execFileSync('git', ['init', '-q', folder])
    await writeFile(join(folder, '.git/config.lock'), '')
    expect(await init(...options)).toMatch(
      /^git was not configured to use fleet merge: .*could not lock config file.*\n  once the error is resolved, run: fleet merge --install$/m,
    )
  },
)
