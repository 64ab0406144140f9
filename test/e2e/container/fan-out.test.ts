import { spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { runProgram } from '../../support/lab/process.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'
import { testIf } from '../../support/vitest/test-if.ts'

const entry = ({ name, address, hostKey }: Pick<LabHost, 'name' | 'address' | 'hostKey'>): string =>
  `  ${name}:
    driver: ssh
    options: { address: ${address} }
    host: { phase: ready, address: ${address}, user: root, hostKeys: [${hostKey.split(' ').slice(0, 2).join(' ')}] }
`

/** Drops all packets to an address, so that only a timeout shows that there is no host. */
async function swallow(address: string): Promise<void> {
  const route = await runProgram(['ip', '-o', 'route', 'get', address])
  const [, device = ''] = /dev (\S+)/.exec(route) ?? []
  const card = ['lladdr', '02:00:00:00:00:fa', 'nud', 'permanent']
  await runProgram(['ip', 'neighbour', 'replace', address, ...card, 'dev', device])
}

let lab: Lab
beforeAll(async () => {
  if (labIsHere) lab = await startLab({ hosts: 3, engine: true, image: true })
})
afterAll(async () => lab?.[Symbol.asyncDispose]())

const clients = ['builtin', 'openssh'] as const

describe.skipIf(!labIsHere).each(clients)('several machines, with the client %s', (client) => {
  let ana: TestUser
  const fleet = (...args: string[]) => ana.fleet(args)
  /** Defines tests that do not depend on the client. */
  const testOnce = testIf(client === 'builtin')

  beforeAll(async () => {
    ana = await makeTestUser({ identity: lab.identity.file, client })
    const [first] = lab.hosts
    const address = (first?.address ?? '').replace(/\d+$/, '250')
    await swallow(address)
    const gone = { name: 'z-gone', address, hostKey: first?.hostKey ?? '' }
    const entries = [...lab.hosts, gone].map(entry).join('')
    await writeFile(
      join(ana.folder, 'machines.yaml'),
      `version: 1\nid: 0123abcd\nmachines:\n${entries}`,
    )
  })
  afterAll(async () => {
    await fleet('broker', 'stop')
    await ana[Symbol.asyncDispose]()
  })

  test('cp copies several sources to each machine and from each', async () => {
    await mkdir(join(ana.folder, 'site/img'), { recursive: true })
    await writeFile(join(ana.folder, 'site/index'), 'hello')
    await writeFile(join(ana.folder, 'note'), 'note')
    const there = await fleet(
      'cp',
      'site',
      'note',
      ':/srv',
      '--on',
      'h*',
      '--on',
      'z-gone',
      '--timeout',
      '8',
    )
    expect(there.code).toBe(1)
    expect(there.stderr).toMatch(/1 of 4 machines failed\n {2}z-gone: /)
    expect(there.stderr).toMatch(/27B on 3 machines in /)
    await mkdir(join(ana.folder, 'all'))
    const back = await fleet('cp', ':/srv/site', ':/srv/note', 'all', '--on', 'h*', '--json')
    expect(back.code).toBe(0)
    expect(JSON.parse(back.stdout)).toHaveLength(6)
    expect(await readFile(join(ana.folder, 'all/h2/site/index'), 'utf8')).toBe('hello')
    expect(await fleet('cp', 'h1:/srv/note', ':/srv/second', '-m', 'h2')).toMatchObject({ code: 0 })
    expect(await fleet('cp', 'site', 'note', 'h1:/srv/none')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('/srv/none is not a directory') as string,
    })
    for (const words of [
      ['site'],
      ['site', '/srv', '--on', 'h*'],
      [':/a', ':/b', '--on', 'h*'],
      ['a/x', 'b/x', 'h1:/srv'],
      ['site', 'h1:/srv', '--timeout', '3'],
    ]) {
      expect([words, (await fleet('cp', ...words)).code]).toEqual([words, 2])
    }
  })

  test('ssh runs a command on each, and prefixes its lines with their names', async () => {
    const { code, stdout, stderr } = await fleet(
      'ssh',
      '--on',
      'h*',
      '--',
      'hostname; cat; echo no >&2',
    )
    expect(code).toBe(0)
    expect(stdout.split('\n').sort()).toEqual(['', 'h1 | h1', 'h2 | h2', 'h3 | h3'])
    expect(stderr.split('\n').sort()).toEqual(['', 'h1 | no', 'h2 | no', 'h3 | no'])
  })

  testOnce('a concurrent command on 24 machines prints only its output', async () => {
    const crowd = Array.from({ length: 24 }, (_, index) => {
      const host = lab.hosts[index % lab.hosts.length]
      return host === undefined ? '' : entry({ ...host, name: `c${index + 1}` })
    })
    const file = join(ana.folder, 'crowd.yaml')
    await writeFile(file, `version: 1\nid: 0123abce\nmachines:\n${crowd.join('')}`)
    const words = `--inventory ${file} ssh --all --parallel 24 --fold -- echo a`.split(' ')
    const answer = { code: 0, stdout: 'all 24 machines:\na\n', stderr: '' }
    for (const broker of ['off', 'on', 'on']) {
      expect(await ana.fleet(words, { env: { FLEET_BROKER: broker } })).toEqual(answer)
    }
    await ana.fleet(['broker', 'stop'], { env: { FLEET_BROKER: 'on' } })
  })

  test('a passphrase prompt stops the timeouts and the output', async () => {
    await using eve = await makeTestUser({ identity: lab.identity.file, broker: true, client })
    const key = join(eve.home, '.ssh/id_ed25519')
    await runProgram(['ssh-keygen', '-q', '-p', '-P', '', '-N', 'open sesame', '-f', key])
    const entries = lab.hosts.map(entry).join('')
    await writeFile(
      join(eve.folder, 'machines.yaml'),
      `version: 1\nid: 0123abcd\nmachines:\n${entries}`,
    )
    const { screen } = await eve.fleetOnTerminal(
      ['ls', '--live', '--timeout', '10'],
      [{ at: 'Passphrase for', type: 'open sesame\r', pause: 12 }],
    )
    const [asking, answered = ''] = screen.split('\u2714')
    expect(asking).not.toMatch(/no answer within|waiting for|\nh\d/)
    expect(answered).not.toContain('no answer within')
    const order = [...answered.matchAll(/(h\d) .*running/g)].map(([, name]) => name)
    expect(order).toEqual(['h1', 'h2', 'h3'])
  })

  testOnce('--fold prints equal output once', async () => {
    const script = 'case $(hostname) in h2) echo other;; *) echo same;; esac'
    const { code, stdout } = await fleet('ssh', '--on', 'h*', '--fold', '--', script)
    expect(code).toBe(0)
    expect(stdout).toContain('h1, h3 (2):\nsame\n')
    expect(stdout).toContain('h2 (1):\nother\n')
    expect(await fleet('ssh', '--on', 'h*', '--fold', '--', 'echo a; echo b')).toMatchObject({
      stdout: 'all 3 machines:\na\nb\n',
    })
    const usage = await fleet('df', '--on', 'h*', '--fold')
    expect(usage.stdout).toMatch(/^all 3 machines:\n\w+\t/)
    const json = await fleet('df', '--on', 'h*', '--fold', '--json')
    expect(JSON.parse(json.stdout)).toEqual([
      { machines: ['h1', 'h2', 'h3'], rows: expect.any(Array) as unknown[] },
    ])
  })

  testOnce('--json prints an object for each machine, with the exit code', async () => {
    const { code, stdout, stderr } = await fleet(
      'ssh',
      '--on',
      'h1',
      '--json',
      '--',
      'echo a; exit 3',
    )
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toEqual({ machine: 'h1', code: 3, stdout: 'a\n', stderr: '' })
    expect(JSON.parse(stderr)).toMatchObject({
      machine: 'h1',
      error: { message: 'the command exited with code 3' },
    })
  })

  test('--timeout applies to each, and a silent machine does not delay the rows of the others', async () => {
    const { code, stdout, stderr } = await fleet('images', '--all', '--timeout', '6')
    expect(code).toBe(1)
    expect(stdout.trim().split('\n')).toHaveLength(3)
    expect(stderr).toMatch(/1 of 4 machines failed\n {2}z-gone: /)
  })

  testOnce('--retry-failed runs only on the machines that failed the last time', async () => {
    const failing = 'test $(hostname) = h2'
    const first = await fleet('ssh', '--on', 'h*', '--', failing)
    expect(first).toMatchObject({ code: 1 })
    expect(first.stderr).toContain('2 machines: the command exited with code 1: h1, h3')
    const second = await fleet('ssh', '--retry-failed', '--', 'hostname')
    expect(second.code).toBe(0)
    expect(second.stdout.split('\n').sort()).toEqual(['', 'h1 | h1', 'h3 | h3'])
    const third = await fleet('ssh', '--retry-failed', '--', 'hostname')
    expect(third).toMatchObject({ code: 255, stdout: '' })
    expect(third.stderr).toContain('the previous command did not fail on any machine')
  })

  testOnce('--max-fail starts no further machines after that many failures', async () => {
    const { code, stderr } = await fleet(
      '--parallel',
      '1',
      '--max-fail',
      '1',
      'ssh',
      '--on',
      'h*',
      '--',
      'false',
    )
    expect(code).toBe(1)
    expect(stderr).toContain('h1: the command exited with code 1')
    expect(stderr).toContain('stopped after 1 failure: not finished on h2, h3')
    expect((await fleet('ssh', '--retry-failed', '--', 'true')).stderr).toBe('')
  })

  test('Ctrl-C keeps the printed rows, and names the unfinished machines', async () => {
    const child = spawn(program, ['images', '--all'], { env: ana.env, cwd: ana.folder })
    const out = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (chunk: Buffer) => (out[name] += chunk.toString()))
    }
    const ended = new Promise((resolve) => child.once('close', resolve))
    await expect.poll(() => out.stdout.split('\n').length).toBeGreaterThanOrEqual(4)
    child.kill('SIGINT')
    expect({ code: await ended, ...out }).toMatchObject({ code: 130 })
    expect(out.stdout.trim().split('\n')).toHaveLength(3)
    expect(out.stderr).toContain('cancelled: not finished on z-gone')
  })

  test('one sshd receives at most ten concurrent logins, even without the broker', async () => {
    const [first] = lab.hosts as [LabHost]
    const log = '/var/log/sshd.log'
    // Fourteen instead of ten, because sshd notices the end of a login a moment later than fleet.
    await first.exec(
      `echo MaxStartups 14:100:14 >>/etc/ssh/sshd_config; kill -HUP "$(cat /run/sshd.pid)"; >${log}`,
    )
    const names = Array.from({ length: 40 }, (_, index) => entry({ ...first, name: `n${index}` }))
    const file = join(ana.folder, 'names.yaml')
    await writeFile(file, `version: 1\nid: 0123abcd\nmachines:\n${names.join('')}`)
    const options = ['--inventory', file, '--parallel', '40']
    const { code, stdout } = await fleet(...options, 'ssh', '--all', '--', 'hostname')
    expect({ code, lines: stdout.trim().split('\n').length }).toEqual({ code: 0, lines: 40 })
    expect((await first.exec(`cat ${log}`)).stdout).not.toContain('MaxStartups')
  })

  testOnce(
    'ssh refuses --fold for a single machine, and requires a command for several',
    async () => {
      const { code, stderr } = await fleet('ssh', '--fold', 'h1', 'true')
      expect(code).toBe(255)
      expect(stderr).toContain('more than one machine')
      expect((await fleet('ssh', '--on', 'h*')).stderr).toContain('no command specified')
    },
  )
})
