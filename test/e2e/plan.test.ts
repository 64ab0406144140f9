import { execFileSync } from 'node:child_process'
import { appendFile, cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, labIsHere, startLab } from '../support/lab/lab.ts'
import { makeKey } from '../support/lab/ssh-key.ts'
import { type Person, makePerson } from '../support/person.ts'

/** Runs a command in a git work tree of a person. */
const git = ({ folder, env }: Person, ...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=x', '-c', 'user.email=x@example.com', ...args], {
    cwd: folder,
    env: { ...env },
    encoding: 'utf8',
  })

describe.skipIf(!labIsHere)('a day in two clones of one inventory', () => {
  let lab: Lab
  let ana: Person
  let ben: Person

  const addressOf = (index: number): string => lab.hosts[index]?.address ?? ''

  const writeMachine = (person: Person, name: string, index: number) =>
    appendFile(
      join(person.folder, 'machines.yaml'),
      `  ${name}:\n    driver: ssh\n    options: { address: ${addressOf(index)}, user: root }\n`,
    )

  beforeAll(async () => {
    lab = await startLab({ hosts: 4, engine: true, image: true })
    ana = await makePerson({ identity: lab.identity.file })
    const benIdentity = join(ana.home, 'ben')
    await makeKey(benIdentity, 'ben')
    ben = await makePerson({ identity: benIdentity })
    await writeFile(join(ana.folder, 'machines.yaml'), 'version: 1\nid: 0123abcd\nmachines:\n')
    git(ana, 'init', '--quiet', '--initial-branch=main')
  })

  afterAll(async () => {
    await ben[Symbol.asyncDispose]()
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  test('machines written by hand are planned, and taken in by apply', async () => {
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
      matters: [],
    })
    const applied = await ana.fleet(['apply', '--plan', 'plan.json', '--yes', '--accept-new'])
    expect(applied).toMatchObject({ code: 0 })
    expect((await ana.fleet(['plan'])).stdout).toBe('nothing to do\n')
    expect(await ana.fleet(['plan'])).toMatchObject({ code: 0 })
  })

  test('a plan of another inventory is refused', async () => {
    const { code, stderr } = await ana.fleet(['apply', '--plan', 'plan.json', '--yes'])
    expect(code).toBe(2)
    expect(stderr).toContain('the inventory is another one')
  })

  test('a second operator is let in, and works with their own key alone', async () => {
    await lab.hosts[0]?.exec('echo "# mine" >>~/.ssh/authorized_keys')
    expect(
      await ana.fleet(['operator', 'add', 'ben', '--key', join(ana.home, 'ben.pub')]),
    ).toMatchObject({ code: 0 })
    expect((await ana.fleet(['plan'])).stdout).toContain('~ web-1: operators (let in ben)')
    expect(await ana.fleet(['apply', '--yes'])).toMatchObject({ code: 0 })
    git(ana, 'add', 'machines.yaml')
    git(ana, 'commit', '--quiet', '--message', 'two machines')
    git(ben, 'clone', '--quiet', ana.folder, 'clone')
    await cp(join(ben.folder, 'clone'), ben.folder, { recursive: true, force: true })
    const ran = await ben.fleet(['-m', 'web-1', 'run', '--rm', 'bb:1', 'echo', 'hello'])
    expect(ran).toMatchObject({ code: 0, stdout: 'hello\n' })
    expect(await ben.fleet(['plan'])).toMatchObject({ code: 0 })
  })

  test('both add machines on branches, which merge', async () => {
    git(ben, 'checkout', '--quiet', '-b', 'ben')
    const join3 = ['--name', 'db-1', '--accept-new', '-i', lab.identity.file]
    expect(await ben.fleet(['adopt', `root@${addressOf(2)}`, ...join3])).toMatchObject({ code: 0 })
    git(ben, 'commit', '--quiet', '--all', '--message', 'db-1')
    const join4 = ['--name', 'zz-1', '--accept-new']
    expect(await ana.fleet(['adopt', `root@${addressOf(3)}`, ...join4])).toMatchObject({ code: 0 })
    git(ana, 'commit', '--quiet', '--all', '--message', 'zz-1')
    git(ana, 'pull', '--quiet', '--no-rebase', '--no-edit', ben.folder, 'ben')
    expect((await ana.fleet(['ls', '-q'])).stdout).toBe('db-1\nweb-1\nweb-2\nzz-1\n')
    expect((await ana.fleet(['plan'])).stdout).toBe(
      [
        'To be done by fleet apply:',
        '  ~ db-1: operators (let in ben)',
        '  ~ zz-1: operators (let in ben)',
        '',
      ].join('\n'),
    )
  })

  test('an apply that is killed half-way is taken up by the next', async () => {
    await ana.fleet(['apply', '--yes', '--parallel', '1'], {
      said: (stderr, pid) => {
        if (stderr.includes('zz-1')) process.kill(pid, 'SIGKILL')
      },
    })
    expect(await ana.fleet(['apply', '--yes'])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['plan'])).toMatchObject({ code: 0 })
  })

  test('what changed behind their backs is shown with both values, and taken in by refresh', async () => {
    const text = await ana.inventory()
    const file = join(ana.folder, 'machines.yaml')
    await writeFile(file, text.replace(/engine: .*/, 'engine: 1.2.3'))
    const planned = await ana.fleet(['plan'])
    expect(planned.stdout).toMatch(/! db-1: engine was 1\.2\.3, and is \d/)
    expect(planned.code).toBe(0)
    expect(await ana.fleet(['refresh'])).toMatchObject({ code: 0 })
    expect(await ana.inventory()).toBe(text)
  })

  test('a key that somebody adds to the block is drift that apply takes away', async () => {
    const sneak =
      'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB eve'
    const script = `sed -i '/operators: end/i ${sneak}' ~/.ssh/authorized_keys`
    await lab.hosts[1]?.exec(script)
    const planned = await ana.fleet(['plan'])
    expect(planned.stdout).toContain('~ web-2: operators (revoke eve)')
    expect(await ana.fleet(['apply', '--yes'])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['plan'])).toMatchObject({ code: 0 })
  })

  test('nobody locks themselves out: what would is undone', async () => {
    await cp(join(ana.folder, 'machines.yaml'), join(ben.folder, 'machines.yaml'))
    expect(await ben.fleet(['operator', 'rm', 'ben'])).toMatchObject({ code: 0 })
    const { code, stderr } = await ben.fleet(['apply', '--yes'])
    expect(code).toBe(1)
    expect(stderr).toContain('would not let you in any more')
    expect(await ben.fleet(['ssh', 'web-1', '--', 'true'])).toMatchObject({ code: 0 })
  })

  test('an operator who is taken out is locked out, and no other line is touched', async () => {
    expect(await ana.fleet(['operator', 'rm', 'ben'])).toMatchObject({ code: 0 })
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

  test('a machine that one removes is gone from the other one’s plan; a host that is off is told', async () => {
    expect(await ana.fleet(['rm', '-y', 'zz-1'])).toMatchObject({ code: 0 })
    await lab.hosts[1]?.kill()
    const { code, stdout } = await ana.fleet(['plan', '--timeout', '3'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^For you to settle:\n {2}\? web-2: /)
    expect(stdout).not.toContain('zz-1')
  })

  test('set and rename change the entry alone', async () => {
    const words = ['protected=true', 'label.role=db', 'engine=28.2']
    expect(await ana.fleet(['set', 'db-1', ...words])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['rename', 'db-1', 'store-1'])).toMatchObject({ code: 0 })
    const text = await readFile(join(ana.folder, 'machines.yaml'), 'utf8')
    expect(text).toMatch(/ {2}store-1:\n(?: {4}.*\n)*? {4}protected: true\n/)
    expect(await ana.fleet(['ssh', 'store-1', '--', 'true'])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['set', 'store-1', 'labels=x'])).toMatchObject({ code: 2 })
  })
})
