import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { modes } from '../../support/docker/docker-client.ts'
import { dockerPlugins } from '../../support/docker/docker-plugins.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

describe.skipIf(!labIsHere)('the fleet program', () => {
  let lab: Lab
  let host: LabHost
  let ana: TestUser
  beforeAll(async () => {
    lab = await startLab({ hosts: 1, engine: true, image: true })
    ;[host] = lab.hosts as [LabHost]
    ana = await makeTestUser({ identity: lab.identity.file })
    const adopted = await ana.fleet([
      'adopt',
      `root@${host.address}`,
      '--name',
      'h1',
      '--accept-new',
    ])
    expect(adopted).toMatchObject({ code: 0 })
    expect(await ana.fleet(['use', 'h1'])).toMatchObject({ code: 0 })
  })
  afterAll(async () => {
    await ana?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })
  const out = async (command: string) => (await host.exec(command)).stdout

  const processes = () => out(`cat /proc/[0-9]*/cmdline | tr '\\0\\n' '  '`)

  const sent = async () =>
    Number(await out('cat /srv/.fleet-*/content 2>/dev/null | head -c 1000 | wc -c'))

  describe.each(modes)('$mode', ({ here }) => {
    const env = (): Record<string, string> => (here ? {} : { PATH: ana.folder })

    test('passes input, output and exit codes', async () => {
      const piped = await ana.fleet(['run', '-i', '--rm', 'bb:1', 'cat'], {
        input: 'hi\n',
        env: env(),
      })
      expect(piped).toEqual({ code: 0, stdout: 'hi\n', stderr: '' })
      const killed = [
        'run',
        '--rm',
        'bb:1',
        'sh',
        '-c',
        'echo no >&2; sh -c "kill -9 \\$\\$"; exit $?',
      ]
      expect(await ana.fleet(killed, { env: env() })).toMatchObject({ code: 137, stdout: '' })
    })

    test.each(['SIGTERM', 'SIGINT'] as const)('passes %s on to the container', async (signal) => {
      const script =
        'trap "exit 41" TERM; trap "exit 42" INT; echo ready; while :; do sleep 0.1; done'
      let pid = 0
      const args = ['run', '--rm', '--name', 'asked', 'bb:1', 'sh', '-c', script]
      const running = ana.fleet(args, { env: env(), started: (id) => (pid = id) })
      await expect.poll(() => out('docker logs asked'), { timeout: 120_000 }).toBe('ready\n')
      process.kill(pid, signal)
      expect(await running).toMatchObject({ code: signal === 'SIGTERM' ? 41 : 42 })
    })
  })

  const { 'docker-compose': plugin } = dockerPlugins

  test.skipIf(plugin === undefined).each([
    ['SIGINT', ['up', '-t', '0']],
    ['SIGTERM', ['logs', '-f']],
  ] as const)('%s terminates compose on the host: %s', async (signal, words) => {
    await host.exec(`mkdir -p ~/.docker/cli-plugins && cp '${plugin}' ~/.docker/cli-plugins/`)
    const file = join(ana.folder, 'compose.yaml')
    await writeFile(
      file,
      "services: { a: { image: 'bb:1', init: true, command: sh -c 'echo begun; sleep 600' } }",
    )
    const env = { PATH: ana.folder }
    const compose = ['compose', '-f', file, '-p', 'ended']
    if (words[0] === 'logs') await ana.fleet([...compose, 'up', '-d'], { env })
    let pid = 0
    const running = ana.fleet([...compose, ...words], { env, started: (id) => (pid = id) })
    await expect
      .poll(processes, { timeout: 120_000 })
      .toMatch(new RegExp(`cli-plugins/docker-compose.* ${words[0]} `))
    await expect
      .poll(() => out('docker logs ended-a-1 2>/dev/null'), { timeout: 120_000 })
      .toBe('begun\n')
    process.kill(pid, signal)
    expect((await running).code).not.toBe(0)
    await expect.poll(processes, { timeout: 120_000 }).not.toContain('cli-plugins/docker-compose')
    await ana.fleet([...compose, 'down', '-t', '0'], { env })
  })

  test('leaves nothing behind when a copy is killed', async () => {
    await writeFile(join(ana.folder, 'large'), Buffer.alloc(300_000_000))
    let pid = 0
    const copying = ana.fleet(['cp', 'large', 'h1:/srv/large'], { started: (id) => (pid = id) })
    await expect.poll(sent, { timeout: 120_000, interval: 10 }).toBeGreaterThan(0)
    process.kill(pid, 'SIGKILL')
    await copying
    await expect.poll(() => out('ls -A /srv'), { timeout: 120_000 }).not.toMatch(/large|fleet/)
  })
})
