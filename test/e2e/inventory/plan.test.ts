import { execFileSync } from 'node:child_process'
import { appendFile, cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { until } from '../../support/lab/process.ts'
import { makeKey } from '../../support/lab/ssh-key.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'
import { startAgent } from '../../support/ssh/ssh-agent.ts'

/** Runs git in a user's working tree, with fleet in PATH. */
const git = ({ folder, home, env }: TestUser, ...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@example.com', ...args], {
    cwd: folder,
    env: { ...env, PATH: `${join(home, 'bin')}:${env['PATH']}` },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })

async function installFleet({ home }: TestUser): Promise<void> {
  await mkdir(join(home, 'bin'))
  const script = `#!/bin/sh\nexec ${program} "$@"\n`
  await writeFile(join(home, 'bin/fleet'), script, { mode: 0o755 })
}

describe.skipIf(!labIsHere)('a day in two clones of one inventory', () => {
  let lab: Lab
  let ana: TestUser
  let ben: TestUser

  const addressOf = (index: number): string => lab.hosts[index]?.address ?? ''

  const writeMachine = (user: TestUser, name: string, index: number) =>
    appendFile(
      join(user.folder, 'machines.yaml'),
      `  ${name}:\n    driver: ssh\n    options: { address: ${addressOf(index)}, user: root }\n`,
    )

  beforeAll(async () => {
    lab = await startLab({ hosts: 6, engine: true, image: true })
    ana = await makeTestUser({ identity: lab.identity.file })
    const benIdentity = join(ana.home, 'ben')
    await makeKey(benIdentity, 'ben')
    ben = await makeTestUser({ identity: benIdentity })
    await installFleet(ana)
    git(ana, 'init', '--quiet', '--initial-branch=main')
    await rm(join(ana.folder, 'machines.yaml'))
    expect(await ana.fleet(['init', ana.folder])).toMatchObject({ code: 0 })
    await writeFile(join(ana.folder, 'machines.yaml'), 'version: 1\nid: 0123abcd\nmachines:\n')
  })

  afterAll(async () => {
    await ben[Symbol.asyncDispose]()
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  test('machines written by hand are planned, and adopted by apply', async () => {
    await writeMachine(ana, 'web-1', 0)
    await writeMachine(ana, 'web-2', 1)
    const { code, stdout } = await ana.fleet(['plan', '--json', '--out', 'plan.json'])
    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({
      changes: [
        { machine: 'web-1', action: 'adopt' },
        { machine: 'web-2', action: 'adopt' },
      ],
      drift: [],
      issues: [],
    })
    const applied = await ana.fleet(['apply', '--plan', 'plan.json', '--yes', '--accept-new'])
    expect(applied).toMatchObject({ code: 0 })
    expect((await ana.fleet(['plan'])).stdout).toBe('nothing to do\n')
    expect(await ana.fleet(['plan'])).toMatchObject({ code: 0 })
  })

  test('a plan of a changed inventory is refused', async () => {
    const { code, stderr } = await ana.fleet(['apply', '--plan', 'plan.json', '--yes'])
    expect(code).toBe(2)
    expect(stderr).toContain('the inventory has changed since the plan')
  })

  test('a second operator is authorized, and works with their own key', async () => {
    await lab.hosts[0]?.exec('echo "# mine" >>~/.ssh/authorized_keys')
    expect(
      await ana.fleet(['operator', 'add', 'ben', '--key', join(ana.home, 'ben.pub')]),
    ).toMatchObject({ code: 0 })
    expect((await ana.fleet(['plan'])).stdout).toContain('~ web-1: operators (authorize ben)')
    expect(await ana.fleet(['apply', '--yes'])).toMatchObject({ code: 0 })
    git(ana, 'add', 'machines.yaml', '.gitattributes', '.gitignore')
    git(ana, 'commit', '--quiet', '--message', 'two machines')
    git(ben, 'clone', '--quiet', ana.folder, 'clone')
    await cp(join(ben.folder, 'clone'), ben.folder, { recursive: true, force: true })
    const ran = await ben.fleet(['-m', 'web-1', 'run', '--rm', 'bb:1', 'echo', 'hello'])
    expect(ran).toMatchObject({ code: 0, stdout: 'hello\n' })
    expect(await ben.fleet(['plan'])).toMatchObject({ code: 0 })
    expect(git(ben, 'ls-files').split('\n').filter(Boolean).sort()).toEqual([
      ...['.gitattributes', '.gitignore', 'machines.yaml'],
    ])
  })

  test("an agent with the operator's key is sufficient", async () => {
    const key = join(ben.home, '.ssh/id_ed25519')
    const away = join(ben.home, 'away')
    await rename(key, away)
    using agent = await startAgent(ben.home)
    const env = { SSH_AUTH_SOCK: agent.socket, FLEET_BROKER: 'off' }
    const look = () => ben.fleet(['ssh', 'web-2', '--', 'whoami'], { env })
    expect(await look()).toMatchObject({ code: 255 })
    await agent.add(away)
    expect(await look()).toMatchObject({ code: 0, stdout: 'root\n' })
    await rename(away, key)
  })

  test('neighboring machines added on two branches merge in a clone with fleet init', async () => {
    git(ben, 'checkout', '--quiet', '-b', 'ben')
    const borrowed = join(ben.home, 'borrowed') // this key is authorized on all hosts, so Ben does not keep it
    await cp(lab.identity.file, borrowed)
    const bens = ['--name', 'web-3', '--accept-new', '-i', borrowed]
    expect(await ben.fleet(['adopt', `root@${addressOf(2)}`, ...bens])).toMatchObject({ code: 0 })
    await rm(borrowed)
    git(ben, 'commit', '--quiet', '--all', '--message', 'web-3')
    const anas = ['--name', 'web-4', '--accept-new']
    expect(await ana.fleet(['adopt', `root@${addressOf(3)}`, ...anas])).toMatchObject({ code: 0 })
    git(ana, 'commit', '--quiet', '--all', '--message', 'web-4')
    // Ben's clone has no merge driver configured, so git reports a conflict.
    expect(() => git(ben, 'pull', '--no-rebase', '--no-edit', ana.folder, 'main')).toThrow('pull')
    expect(git(ben, 'status', '--porcelain')).toContain('UU machines.yaml')
    git(ben, 'merge', '--abort')
    git(ana, 'pull', '--quiet', '--no-rebase', '--no-edit', ben.folder, 'ben')
    expect((await ana.fleet(['ls', '-q'])).stdout).toBe('web-1\nweb-2\nweb-3\nweb-4\n')
    expect((await ana.fleet(['plan'])).stdout).toBe(
      [
        'fleet apply will make these changes:',
        '  ~ web-3: operators (authorize ben)',
        '  ~ web-4: operators (authorize ben)',
        'Plan: 0 to create, 2 to change, 0 to remove.',
        '',
      ].join('\n'),
    )
  })

  test('an apply that was killed is continued by the next one', async () => {
    await writeMachine(ana, 'web-5', 4)
    await writeMachine(ana, 'web-6', 5)
    const last = lab.hosts[5]
    last?.pause() // no login can complete
    let pid = 0
    const cut = ana.fleet(['apply', '--yes', '--accept-new', '--parallel', '1'], {
      started: (started) => {
        pid = started
      },
    })
    await until('web-5 is taken in', async () => {
      const text = await ana.inventory()
      return /web-5:\n(?: {4}.*\n)*? {6}phase: ready/.test(text) || undefined
    })
    process.kill(pid, 'SIGKILL')
    expect(await cut).toMatchObject({ code: -2 })
    last?.resume()
    const { code, stdout } = await ana.fleet(['plan'])
    expect(code).toBe(2)
    expect(stdout).toMatch(/ web-6: adopt/)
    expect(stdout).not.toMatch(/web-[345]: adopt/)
    expect(await ana.fleet(['apply', '--yes', '--accept-new'])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['plan'])).toMatchObject({ code: 0 })
    git(ana, 'commit', '--quiet', '--all', '--message', 'two more')
  })

  test('changes on a host are shown with both values, and recorded by refresh', async () => {
    const host = lab.hosts[0]
    const remembered = /engine: (\S+)/.exec(await ana.inventory())?.[1] ?? ''
    await host?.exec(
      `sed 's/^\\(PRETTY_NAME\\|VERSION_ID\\)=.*/\\1="99"/' /usr/lib/os-release >/srv/release && rm -f /etc/os-release && cp /srv/release /etc/os-release && pkill dockerd`,
    )
    const planned = await ana.fleet(['plan'])
    expect(planned.stdout).toMatch(/! web-1: os changed from .*12.* to .*99/)
    expect(planned.stdout).toContain(`! web-1: engine changed from ${remembered} to not running`)
    expect(planned.stdout).not.toMatch(/web-[2-6]/)
    await host?.stop()
    await host?.start()
    expect((await ana.fleet(['plan'])).stdout).not.toContain('engine')
    expect(await ana.fleet(['refresh'])).toMatchObject({ code: 0 })
    expect(await ana.inventory()).toMatch(/os: .*99/)
    expect(await ana.fleet(['plan'])).toMatchObject({ code: 0, stdout: 'nothing to do\n' })
    git(ana, 'commit', '--quiet', '--all', '--message', 'web-1 was upgraded')
  })

  test('a machine removed in one clone is in the plan of the other until it is pulled', async () => {
    git(ben, 'pull', '--quiet', '--ff-only', ana.folder, 'main')
    expect(await ben.fleet(['plan'])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['rm', '-y', 'web-4'])).toMatchObject({ code: 0 })
    git(ana, 'commit', '--quiet', '--all', '--message', 'web-4 goes')
    await lab.hosts[3]?.kill()
    const { code, stdout } = await ben.fleet(['plan', '--timeout', '5'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^Needs your attention:\n {2}\? web-4: /)
    git(ben, 'pull', '--quiet', '--ff-only', ana.folder, 'main')
    expect(await ben.fleet(['plan'])).toMatchObject({ code: 0, stdout: 'nothing to do\n' })
  })

  test('a key added to the operators block is drift, which apply removes', async () => {
    const sneak =
      'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB eve'
    const script = `sed -i '/operators: end/i ${sneak}' ~/.ssh/authorized_keys`
    await lab.hosts[1]?.exec(script)
    const planned = await ana.fleet(['plan'])
    expect(planned.stdout).toContain("~ web-2: operators (revoke eve's key)")
    expect(await ana.fleet(['apply', '--yes'])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['plan'])).toMatchObject({ code: 0 })
  })

  test('an operator cannot lock themselves out: such a change is undone', async () => {
    await cp(join(ana.folder, 'machines.yaml'), join(ben.folder, 'machines.yaml'))
    expect(await ben.fleet(['operator', 'rm', 'ben'])).toMatchObject({ code: 0 })
    const { code, stderr } = await ben.fleet(['apply', '--yes'])
    expect(code).toBe(1)
    expect(stderr).toContain('would lock you out of')
    expect(await ben.fleet(['ssh', 'web-1', '--', 'true'])).toMatchObject({ code: 0 })
  })

  test('a removed operator loses access through every line, and no other line changes', async () => {
    const key = (await readFile(join(ana.home, 'ben.pub'), 'utf8')).trim()
    await lab.hosts[0]?.exec(`echo 'from="10.0.0.0/8" ${key}' >>~/.ssh/authorized_keys`)
    expect((await ana.fleet(['plan'])).stdout).not.toContain('web-1')
    expect(await ana.fleet(['operator', 'rm', 'ben'])).toMatchObject({ code: 0 })
    expect((await ana.fleet(['plan'])).stdout).toContain(
      "~ web-1: operators (revoke ben's key, also in authorized_keys lines that fleet did not write)",
    )
    expect(await ana.fleet(['apply', '--yes'])).toMatchObject({ code: 0 })
    const { code, stderr } = await ben.fleet(['ssh', 'web-1', '--', 'true'])
    expect(code).toBe(255)
    expect(stderr).toContain('root')
    const { stdout: kept } = (await lab.hosts[0]?.exec('cat ~/.ssh/authorized_keys')) ?? {
      stdout: '',
    }
    expect(kept).toContain('# mine')
    expect(kept).not.toContain('fleet')
    expect(kept).toContain(lab.identity.publicKey.trim())
  })

  test('a host that is off is reported', async () => {
    await lab.hosts[1]?.kill()
    const { code, stdout } = await ana.fleet(['plan', '--timeout', '3'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^Needs your attention:\n {2}\? web-2: /)
  })

  test('set and rename change only the entry', async () => {
    const words = ['protected=true', 'label.role=db', 'engine=28.2']
    expect(await ana.fleet(['set', 'web-3', ...words])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['rename', 'web-3', 'store-1'])).toMatchObject({ code: 0 })
    const text = await readFile(join(ana.folder, 'machines.yaml'), 'utf8')
    expect(text).toMatch(/ {2}store-1:\n(?: {4}.*\n)*? {4}protected: true\n/)
    expect(await ana.fleet(['ssh', 'store-1', '--', 'true'])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['set', 'store-1', 'labels=x'])).toMatchObject({ code: 2 })
  })
})
