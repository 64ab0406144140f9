import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isEngineSocket } from '../../../src/drivers/local/engine-sockets.ts'
import { localDriver } from '../../../src/drivers/local/driver.ts'
import type { MachineName } from '../../../src/machine/name.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-local-'))
})
afterEach(() => rm(folder, { recursive: true }))

const listen = async (path: string) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return server
}

const locate = (env: Record<string, string>, socket?: string) =>
  localDriver(env).locate?.(
    'me' as MachineName,
    { socket },
    { signal: new AbortController().signal, progress: () => {} },
  )

test.each<[string, boolean]>([
  ['/var/run/docker.sock', true],
  ['/run/docker.sock', true],
  ['/run/podman/podman.sock', true],
  ['/run/user/7/docker.sock', true],
  ['/run/user/7/podman/podman.sock', true],
  ['/home/ana/.docker/run/docker.sock', true],
  ['/home/ana/.docker/desktop/docker.sock', true],
  ['/home/ana/.colima/default/docker.sock', true],
  ['/home/ana/.orbstack/run/docker.sock', true],
  ['/home/ana/.rd/docker.sock', true],
  ['/opt/engine.sock', true],
  ['/home/ben/.docker/run/docker.sock', false],
  ['/home/ana/.colima/../.gnupg/docker.sock', false],
  ['/home/ana/.gnupg/S.gpg-agent', false],
  ['/home/ana/docker.sock', false],
  ['/run/snapd.socket', false],
  ['/run/user/7/bus', false],
  ['/run/docker.sock/', false],
  ['/tmp/docker.sock', false],
])('isEngineSocket accepts %s: %j', (path, expected) => {
  const env = {
    HOME: '/home/ana',
    XDG_RUNTIME_DIR: '/run/user/7',
    DOCKER_HOST: 'unix:///opt/engine.sock',
  }
  expect(isEngineSocket(path, env)).toBe(expected)
})

test('uses a given socket unchanged', async () => {
  expect(await locate({}, '/run/other.sock')).toEqual({ socket: '/run/other.sock' })
})

test('does not record the default socket', async () => {
  expect(await locate({}, '/var/run/docker.sock')).toEqual({})
})

test('follows DOCKER_HOST to a socket of an engine', async () => {
  const socket = join(folder, 'engine.sock')
  await using server = await listen(socket)
  expect(server.address()).toBe(socket)
  expect(await locate({ DOCKER_HOST: `unix://${socket}` })).toEqual({ socket })
})

test('ignores a DOCKER_HOST that refers to another computer', async () => {
  const answer = await locate({ DOCKER_HOST: 'ssh://ana@h1' })
  expect(answer).toEqual(await locate({}))
})

test('ignores a DOCKER_HOST that refers to a regular file', async () => {
  const file = join(folder, 'docker.sock')
  await writeFile(file, '')
  expect(await locate({ DOCKER_HOST: `unix://${file}` })).not.toEqual({ socket: file })
})
