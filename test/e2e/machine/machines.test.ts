import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { startAgent } from '../../support/ssh/ssh-agent.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

describe.skipIf(!labIsHere)('machines', () => {
  let lab: Lab
  let ana: TestUser

  beforeAll(async () => {
    lab = await startLab({ hosts: 2, engine: true, image: true })
    ana = await makeTestUser({ identity: lab.identity.file })
    for (const host of lab.hosts) {
      const adopted = await ana.fleet([
        ...['adopt', `root@${host.address}`, '--name', host.name, '--accept-new'],
        ...['--label', `number=${host.name.slice(1)}`],
      ])
      expect(adopted).toMatchObject({ code: 0 })
    }
  })

  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  test('the first adopted machine is the active one', async () => {
    expect(await ana.fleet(['active'])).toMatchObject({ code: 0, stdout: 'h1\n' })
  })

  test('use changes the active machine, and use - switches back', async () => {
    await ana.fleet(['use', 'h2'])
    expect((await ana.fleet(['active'])).stdout).toBe('h2\n')
    await ana.fleet(['use', '-'])
    expect((await ana.fleet(['active'])).stdout).toBe('h1\n')
    const elsewhere = await ana.fleet(['active'], { env: { FLEET_MACHINE: 'h2' } })
    expect(elsewhere.stdout).toBe('h2\n')
  })

  test('an unknown machine is reported by name, with exit code 3', async () => {
    for (const args of [
      ['ip', 'h9'],
      ['-m', 'h9', 'ps'],
      ['use', 'h9'],
      ['rm', '-y', 'h9'],
    ]) {
      const { code, stderr } = await ana.fleet(args)
      expect({ args, code }).toEqual({ args, code: 3 })
      expect(stderr).toContain('h9')
    }
  })

  test('adopt refuses a machine name that is in use, and changes nothing', async () => {
    const before = await ana.inventory()
    const { code, stderr } = await ana.fleet([
      ...['adopt', `root@${lab.hosts[1]?.address}`, '--name', 'h1', '--accept-new'],
    ])
    expect(code).toBe(2)
    expect(stderr).toContain('machine h1 already exists')
    expect(await ana.inventory()).toBe(before)
  })

  test.each(['', 'ä', '-', '.', '..', '-a', 'a b', 'all', 'a/b'])(
    '%j is refused as a machine name',
    async (name) => {
      const before = await ana.inventory()
      const { code } = await ana.fleet(['create', '--driver', 'local', '--', name])
      expect(code).toBe(2)
      expect(await ana.inventory()).toBe(before)
    },
  )

  test.each(['a', '0'])('%j is accepted as a machine name', async (name) => {
    const adopted = await ana.fleet([
      ...['adopt', `ana@${lab.hosts[0]?.address}`, '--name', name, '--accept-new'],
    ])
    expect(adopted.stderr).toContain(`${name} is ready`)
    expect((await ana.fleet(['forget', name])).code).toBe(0)
  })

  test('too many arguments are an error', async () => {
    for (const args of [
      ['active', 'h1'],
      ['use', 'h1', 'h2'],
      ['ls', 'h1'],
      ['rekey', 'h1', 'h2'],
    ]) {
      const { code, stderr } = await ana.fleet(args)
      expect({ args, code }).toEqual({ args, code: 2 })
      expect(stderr).toContain('too many arguments')
    }
  })

  test('ls -q prints names for xargs', async () => {
    const { stdout } = await ana.fleet(['ls', '-q'])
    expect(stdout).toBe('h1\nh2\n')
    expect((await ana.fleet(['ip', ...stdout.trim().split('\n')])).stdout).toBe(
      `${lab.hosts.map(({ address }) => address).join('\n')}\n`,
    )
  })

  test('ls --live reports an unreachable host with the reason, without waiting for it', async () => {
    const [first, second] = lab.hosts
    await second?.kill()
    const { code, stdout } = await ana.fleet(['ls', '--live', '--json'])
    await second?.start()
    expect(code).toBe(0)
    const rows = JSON.parse(stdout) as { name: string; live: { state: string; reason?: string } }[]
    expect(rows.map(({ name, live }) => [name, live.state])).toEqual([
      [first?.name, 'running'],
      [second?.name, 'unreachable'],
    ])
    expect(rows[1]?.live.reason).toMatch(/no route|no answer|timed out/i)
  })

  test('a stopped host causes exit code 5, with the reason', async () => {
    await lab.hosts[1]?.kill()
    const { code, stderr } = await ana.fleet(['-m', 'h2', 'ps'])
    const status = await ana.fleet(['status', 'h2'])
    await lab.hosts[1]?.start()
    expect(code).toBe(5)
    expect(stderr).toMatch(/^fleet: h2: .*(no route|no answer|refused)/im)
    expect(status).toMatchObject({ code: 5, stdout: expect.stringContaining('unreachable') })
  })

  test('a changed host key is refused with both fingerprints, until rekey', async () => {
    const [, host] = lab.hosts
    const pinned = (await ana.inventory()).match(/h2:[^]*?hostKeys: \[([^\]]*)\]/)?.[1]
    const replaced = await host?.replaceHostKey()
    const refused = await ana.fleet(['-m', 'h2', 'ps'])
    expect(refused.code).toBe(5)
    expect(refused.stderr.match(/SHA256:\S{43}/g)).toHaveLength(2)
    expect(refused.stderr).toContain('fleet rekey h2')
    expect(await ana.inventory()).toContain(pinned)

    expect((await ana.fleet(['rekey', 'h2'])).code).toBe(2)
    const rekeyed = await ana.fleet(['rekey', 'h2', '--yes'])
    expect(rekeyed.code).toBe(0)
    expect(await ana.inventory()).toContain(replaced)
    expect((await ana.fleet(['-m', 'h2', 'ps'])).code).toBe(0)
  })

  test('rekey --on asks for each machine with a changed key, and names the others', async () => {
    const [, host] = lab.hosts
    const replaced = await host?.replaceHostKey()
    const { code, screen } = await ana.fleetOnTerminal(
      ['rekey', '--on', 'h*'],
      [{ at: 'new host key for h2', type: 'y\r' }],
    )
    expect({ code, screen }).toMatchObject({
      code: 0,
      screen: expect.stringMatching(/h1: the host key is unchanged\s+h2: pinned SHA256:\S{43}/),
    })
    expect(await ana.inventory()).toContain(replaced)
  })

  test('provision --on prints an array in the order of the inventory', async () => {
    const { code, stdout } = await ana.fleet(['provision', '--on', 'h2,h1', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject([
      { name: 'h1', changed: [] },
      { name: 'h2', changed: [] },
    ])
  })

  test('end of input or Ctrl-C at a prompt changes nothing', async () => {
    const before = await ana.inventory()
    for (const type of ['\u0004', '\u0003']) {
      const { code, screen } = await ana.fleetOnTerminal(
        ['rm', 'h1'],
        [{ at: 'Remove this machine?', type }],
      )
      expect(screen).toContain('nothing was changed')
      expect(code).toBe(130)
    }
    expect(await ana.inventory()).toBe(before)
    const withoutTerminal = await ana.fleet(['rm', 'h1'])
    expect(withoutTerminal).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') })
    expect(await ana.inventory()).toBe(before)
  })

  test('a new host key is shown on a terminal, and accepted after confirmation', async () => {
    const address = `ana@${lab.hosts[0]?.address}`
    const no = await ana.fleetOnTerminal(
      ['adopt', address, '--name', 'again'],
      [{ at: 'right key?', type: 'n\r' }],
    )
    expect(no.code).toBe(130)
    expect(no.screen).toMatch(/SHA256:\S{43}/)
    expect(await ana.inventory()).not.toContain('again')
    const yes = await ana.fleetOnTerminal(
      ['adopt', address, '--name', 'again'],
      [{ at: 'right key?', type: 'y\r' }],
    )
    expect(yes).toMatchObject({ code: 0, screen: expect.stringContaining('again is ready') })
    expect((await ana.fleet(['forget', 'again'])).code).toBe(0)
  })

  test('create prompts for missing values on a terminal, and prints the equivalent command', async () => {
    await using newcomer = await makeTestUser({ identity: lab.identity.file })
    const address = lab.hosts[0]?.address ?? ''
    const { code, screen } = await newcomer.fleetOnTerminal(
      ['create', '--accept-new'],
      [
        { at: 'Driver:', type: '\u001B[B\r' },
        { at: 'Machine name:', type: 'asked\r' },
        { at: 'IP address', type: `${address}\r` },
      ],
    )
    expect(screen).toContain(`fleet create asked --driver ssh --address ${address} --accept-new`)
    expect({ code, screen }).toMatchObject({ code: 0 })
    const silent = await newcomer.fleet(['create', '--driver', 'ssh'])
    expect(silent).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no machine name specified'),
    })
    const missing = await newcomer.fleet(['create', 'x', '--driver', 'ssh'])
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('--address') })
  })

  test('a protected machine is removed only after its name was typed', async () => {
    const file = join(ana.folder, 'machines.yaml')
    const before = await readFile(file, 'utf8')
    const [plain, guarded] = [before, before.replace('  h2:\n', '  h2:\n    protected: true\n')]
    await writeFile(file, guarded)
    expect(await ana.fleet(['rm', '-y', 'h2'])).toMatchObject({ code: 2 })
    const wrong = await ana.fleetOnTerminal(
      ['rm', '-y', 'h2'],
      [{ at: 'to remove it:', type: 'h1\r' }],
    )
    expect(wrong.code).toBe(130)
    expect(await ana.inventory()).toBe(guarded)
    const right = await ana.fleetOnTerminal(
      ['rm', '-y', 'h2'],
      [{ at: 'to remove it:', type: 'h2\r' }],
    )
    expect(right.code).toBe(0)
    expect(await ana.inventory()).not.toContain('h2:')
    await writeFile(file, plain)
  })

  test('labels can be set, removed, and used in selectors', async () => {
    const labelled = await ana.fleet(['label', 'h2', 'role=db', 'number-'])
    expect(labelled.stdout).toBe('role=db\n')
    expect((await ana.fleet(['ls', '-q', '--on', 'role=db'])).stdout).toBe('h2\n')
    expect((await ana.fleet(['ls', '-q', '--on', 'h*', '--on', 'number=1'])).stdout).toBe('h1\n')
    expect(await ana.fleet(['ls', '--on', 'role=dbs'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('role=db'),
    })
  })

  test('a second computer can use the fleet with a clone and its own key', async () => {
    await using bob = await makeTestUser({ identity: lab.identity.file })
    await writeFile(join(bob.folder, 'machines.yaml'), await ana.inventory())
    expect((await bob.fleet(['ps', '--all'])).code).toBe(0)
    expect(await bob.fleet(['active'])).toMatchObject({ code: 3 })
  })

  test('a login without an accepted key is refused with exit code 6', async () => {
    await using stranger = await makeTestUser()
    await writeFile(join(stranger.folder, 'machines.yaml'), await ana.inventory())
    const { code, stderr } = await stranger.fleet(['-m', 'h1', 'ps'])
    expect(code).toBe(6)
    expect(stderr).toContain('h1')
  })

  test('the private key appears in no output', async () => {
    const secret = (await readFile(lab.identity.file, 'utf8')).split('\n')[1] ?? ''
    expect(secret.length).toBeGreaterThan(40)
    const said = await Promise.all([
      ana.inventory(),
      ana.fleet(['inspect', 'h1']),
      ana.fleet(['inspect', '--json', 'h1', 'h2']),
      ana.fleet(['-m', 'h9', '--json', 'ps']),
      ana.fleet(['ls', '--live', '--json']),
    ])
    expect(JSON.stringify(said)).not.toContain(secret)
    expect(JSON.stringify(said)).not.toContain('PRIVATE KEY')
  })

  test('a private key in the inventory is an error that does not show the key', async () => {
    await using careless = await makeTestUser()
    const key = await readFile(lab.identity.file, 'utf8')
    const file = join(careless.folder, 'machines.yaml')
    await writeFile(
      file,
      `version: 1\nid: 0123abcd\n# ${key.replaceAll('\n', '\n# ')}\nmachines: {}\n`,
    )
    const { code, stderr } = await careless.fleet(['ls'])
    expect(code).toBe(4)
    expect(stderr).toContain('machines.yaml:3')
    expect(stderr).not.toContain(key.split('\n')[1])
  })

  test('ssh and run return output and exit codes', async () => {
    for (const code of [0, 3, 137]) {
      const ssh = await ana.fleet(['ssh', 'h1', '--', `echo out; echo err >&2; exit ${code}`])
      expect(ssh).toEqual({ code, stdout: 'out\n', stderr: 'err\n' })
      const script = `echo out; echo err >&2; exit ${code}`
      const run = await ana.fleet(['-m', 'h1', 'run', '--rm', 'bb:1', 'sh', '-c', script])
      expect(run).toEqual({ code, stdout: 'out\n', stderr: 'err\n' })
    }
    const killed = await ana.fleet(['ssh', 'h1', '--', 'kill -TERM $$'])
    expect(killed.code).toBe(143)
    const echoed = await ana.fleet(['ssh', 'h1', '--', 'cat'], { input: 'through\n' })
    expect(echoed.stdout).toBe('through\n')
    expect((await ana.fleet(['-m', 'h1', 'ssh', 'echo', 'there'])).stdout).toBe('there\n')
    expect((await ana.fleet(['ssh', 'h9', '--', 'true'])).code).toBe(255)
    expect((await ana.fleet(['-m', 'h9', 'run', 'bb:1'])).code).toBe(125)
  })

  test('ssh forwards ports and the agent over the open connection', async () => {
    using agent = await startAgent(ana.home)
    await agent.add(lab.identity.file)
    const env = { SSH_AUTH_SOCK: agent.socket }
    const keys = await ana.fleet(['ssh', '-A', 'h1', 'ssh-add -l'], { env })
    expect(keys).toMatchObject({ code: 0, stdout: expect.stringContaining('ED25519') as string })
    expect(await ana.fleet(['ssh', '-A', '--all', 'ssh-add -l'], { env })).toMatchObject({
      code: 0,
    })

    const server = createServer((client) => client.end('from here\n')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const ask = 'IO::Socket::INET->new("127.0.0.1:7002") or exit 7; print while <$s>'
    const asked = await ana.fleet([
      ...['ssh', '-R', `7002:127.0.0.1:${port}`, 'h1'],
      `perl -MIO::Socket::INET -e '$s = ${ask}'`,
    ])
    expect(asked).toEqual({ code: 0, stdout: 'from here\n', stderr: '' })
    server.close()

    const shown = await ana.fleetOnTerminal(
      ['ssh', '-R', '7003:127.0.0.1:1', 'h1'],
      [{ at: '# ', type: 'cat </dev/tcp/127.0.0.1/7003; exit\r' }],
    )
    expect(shown.screen).toMatch(/cannot connect to 127\.0\.0\.1:1: .*\r\n/)
    expect(shown.screen).not.toMatch(/[^\r]\n/) // lines start in the first column

    const taken = await ana.fleet(['ssh', '-R', '22:localhost:80', 'h1', 'true'])
    expect(taken).toMatchObject({ code: 255, stderr: expect.stringContaining('h1') as string })
    for (const wrong of [
      ['ssh', '-L', 'nonsense', 'h1'],
      ['ssh', '-N', 'h1'],
      ['ssh', '-N', '-D', '1080', 'h1', 'true'],
      ['ssh', '--all', '-D', '1080', 'true'],
    ])
      expect((await ana.fleet(wrong)).code).toBe(255)
  })

  test('arguments for docker are not interpreted as fleet options', async () => {
    const network = await ana.fleet([
      '-m',
      'h1',
      'docker',
      'network',
      'create',
      '-d',
      'bridge',
      'n',
    ])
    expect(network).toMatchObject({ code: 0 })
    expect((await ana.fleet(['-m', 'h1', 'docker', 'network', 'rm', 'n'])).code).toBe(0)
  })

  test('ssh provides a terminal with its size, and passes Ctrl-C', async () => {
    const shell = await ana.fleetOnTerminal(
      ['ssh', 'h1', '--', 'stty size; cat'],
      [
        { at: '24 80', type: 'typed\r' },
        { at: 'typed', type: '\u0003' },
      ],
    )
    expect(shell.screen).toContain('typed')
    expect(shell.code).toBe(130)
  })
})
