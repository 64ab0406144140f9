import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { parseHostProbe, probeScript } from '../../../src/provision/host/probe.ts'

const shells = ['dash', 'busybox ash', 'bash --posix', 'bash']

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

/** Creates a directory with an executable script for each name. */
async function programs(answers: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fleet-probe-'))
  folders.push(folder)
  await mkdir(join(folder, 'bin'))
  for (const [name, body] of Object.entries(answers)) {
    await writeFile(join(folder, 'bin', name), `#!/bin/sh\n${body}\n`)
    await chmod(join(folder, 'bin', name), 0o755)
  }
  return folder
}

/** Runs the script with this computer's shells and programs, unless `folder` contains a replacement. */
function probe(shell: string, folder: string, env: Record<string, string> = {}, socket?: string) {
  const [file = '', ...args] = shell.split(' ')
  const { stdout, status } = spawnSync(
    file,
    [...args, '-s', ...(socket === undefined ? [] : [socket])],
    {
      input: probeScript,
      encoding: 'utf8',
      env: { PATH: `${folder}/bin:/usr/bin:/bin:/usr/sbin:/sbin`, ...env },
    },
  )
  expect(status).toBe(0)
  return parseHostProbe(stdout)
}

describe.each(shells)('the probe script in %s', (shell) => {
  test('describes this computer correctly', async () => {
    const seen = probe(shell, await programs({}))
    const release = await readFile('/etc/os-release', 'utf8')
    expect(release).toContain(seen.os.id)
    expect(release).toContain(seen.os.name)
    expect(seen).toMatchObject({ user: userInfo().username, root: userInfo().uid === 0 })
    expect(seen.arch).toBe({ x64: 'amd64' }[process.arch as string] ?? process.arch)
  })

  test('asks an engine at the given socket for its version', async () => {
    const folder = await programs({ docker: 'echo 99.1.2-$2' })
    const socket = join(folder, 'my engine.sock')
    await using server = createServer()
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    const expected = { socket, version: `99.1.2-unix://${socket}`, direct: true }
    expect(probe(shell, folder, {}, socket).engine).toEqual(expected)
    expect(probe(shell, folder, { DOCKER_HOST: `unix://${socket}` }).engine).toEqual(expected)
  })

  test.each([
    ['docker.sock', 'a rootless Docker'],
    ['podman/podman.sock', 'a rootless Podman'],
  ])('finds %s of %s, and queries it without a docker command', async (name) => {
    const answer = String.raw`HTTP/1.1 200 OK\r\nServer: Libpod/4.3.1 (linux)\r\n\r\nOK`
    const folder = await programs({ docker: 'exit 125', curl: `printf '${answer}'` })
    const socket = join(folder, name)
    await mkdir(dirname(socket), { recursive: true })
    await using server = createServer()
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    const seen = probe(shell, folder, { XDG_RUNTIME_DIR: folder }).engine
    expect(seen).toEqual({ socket, version: '4.3.1', direct: true })
  })

  test('distinguishes a running cloud-init from one that is done or never ran', async () => {
    const states = { running: 'running', done: 'done', 'not run': 'done', error: 'done' }
    for (const [status, expected] of Object.entries(states)) {
      const folder = await programs({ 'cloud-init': `echo; echo 'status: ${status}'` })
      expect(probe(shell, folder).cloudInit).toBe(expected)
    }
  })
})

describe('the output of the probe script', () => {
  test('is found among the greetings of a login shell', () => {
    const parsed = parseHostProbe(
      'Welcome!\nfleet os.id=alpine\nfleet machine=aarch64\nfleet uid=0\nbye',
    )
    expect(parsed).toMatchObject({ os: { id: 'alpine' }, arch: 'arm64', root: true })
  })

  test.each([
    ['enabled', 'active', { active: true, enabled: true }],
    ['disabled', 'inactive', { active: false, enabled: false }],
    ['masked', 'inactive', { active: false, enabled: false }],
    ['static', 'failed', { active: false, enabled: true }],
  ])('is parsed for a service that is %s and %s', (enabled, active, service) => {
    const text = `fleet init=systemd\nfleet service.enabled=${enabled}\nfleet service.active=${active}\n`
    expect(parseHostProbe(text).service).toEqual(service)
  })

  test('is parsed for a host without a docker service', () => {
    const text =
      'fleet init=systemd\nfleet service.enabled=not-found\nfleet service.active=inactive\n'
    expect(parseHostProbe(text)).not.toHaveProperty('service')
  })

  test('shows whether AppArmor is enabled without a program that can load profiles', () => {
    expect(parseHostProbe('fleet apparmor=Y\n').appArmorMissing).toBe(true)
    expect(parseHostProbe('fleet apparmor=Y\nfleet apparmor.parser=yes\n').appArmorMissing).toBe(
      false,
    )
    expect(parseHostProbe('fleet apparmor=N\n').appArmorMissing).toBe(false)
  })
})
