import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Podman, startPodman } from '../../support/docker/podman.ts'
import { importBaseImage, makeBaseRoot } from '../../support/lab/base-image.ts'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { hostOf } from '../../support/ssh/ssh-target.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

describe.skipIf(!labIsHere)('a host with Podman', () => {
  let lab: Lab
  let podman: Podman
  let ana: TestUser
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'podman-'))
    lab = await startLab({ hosts: 1 })
    podman = await startPodman(hostOf(lab))
    await makeBaseRoot(join(folder, 'root'))
    await importBaseImage(podman.socketHere, join(folder, 'root'))
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await podman[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  /** Resolves to the output of a command that must succeed. */
  const print = async (...words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await ana.fleet(words)
    expect(`${code} ${stderr}`).toMatch(/^0 /)
    return stdout
  }

  test('is adopted with its socket and its version', async () => {
    await print('adopt', `root@${hostOf(lab).address}`, '--name', 'h1', '--accept-new')
    expect(await ana.inventory()).toContain(`socket: ${podman.socket}`)
    expect(await ana.inventory()).toMatch(/engine: "?\d+\.\d+/)
  })

  test('runs, lists and executes commands in containers', async () => {
    expect(await print('-m', 'h1', 'image', 'ls', '--format', '{{.Repository}}')).toContain('bb')
    // Not run in the foreground with --rm: Podman 4.3 may wait forever for the removal of an exited container.
    await print('-m', 'h1', 'run', '-d', '--name', 'once', 'bb:1', 'echo', 'hello')
    await expect.poll(() => print('-m', 'h1', 'logs', 'once')).toBe('hello\n')
    await print('-m', 'h1', 'container', 'rm', '-f', 'once')
    await print('-m', 'h1', 'run', '-d', '--name', 'app', 'bb:1', 'sh', '-c', 'echo up; sleep 1000')
    expect(await print('-m', 'h1', 'ps', '--format', '{{.Names}} {{.Image}}')).toBe(
      'app docker.io/library/bb:1\n',
    )
    expect(await print('ps', '--all', '--json')).toContain('"app"')
    expect(await print('-m', 'h1', 'exec', 'app', 'echo', 'in')).toBe('in\n')
    expect((await ana.fleet(['-m', 'h1', 'exec', 'app', 'sh', '-c', 'exit 7'])).code).toBe(7)
    expect(await print('-m', 'h1', 'logs', 'app')).toBe('up\n')
    await print('-m', 'h1', 'container', 'rm', '-f', 'app')
  })
})
