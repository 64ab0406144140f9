import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type KerberosRealm, startKerberos } from '../../support/ssh/kerberos.ts'
import { processesWith, untilGone } from '../../support/ssh/proxy.ts'
import { hostOf } from '../../support/ssh/ssh-target.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

describe.skipIf(!labIsHere)('the broker with the openssh client', () => {
  let lab: Lab
  let ana: TestUser
  const openssh = { env: { FLEET_SSH: 'openssh' } }

  beforeAll(async () => {
    lab = await startLab({ hosts: 2, engine: true })
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    for (const { name, address } of lab.hosts) {
      const adopt = ['adopt', `root@${address}`, '--name', name, '--accept-new']
      expect(await ana.fleet(adopt, openssh)).toMatchObject({ code: 0 })
    }
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  /** End of the command line of the ssh process that is connected to the first host. */
  const commandLine = () => `-p\u000022\u0000--\u0000${hostOf(lab).address}`
  const masters = () => processesWith(commandLine())
  /** Resolves to the number of logins that the first host has accepted. */
  const logins = async () =>
    Number((await hostOf(lab).exec("grep -c '^Accepted publickey' /var/log/sshd.log")).stdout)
  const brokerPid = async (): Promise<number> => {
    const { stdout } = await ana.fleet(['broker', 'status', '--json'])
    return (JSON.parse(stdout) as { pid: number }).pid
  }

  test('connects to engines, and runs commands on all machines with one login each', async () => {
    const before = await logins()
    for (const _ of [1, 2, 3]) {
      expect(await ana.fleet(['ps', '--all', '--json'], openssh)).toMatchObject({
        code: 0,
        stdout: '[]\n',
      })
    }
    const run = await ana.fleet(['ssh', '--all', '--', 'hostname'], openssh)
    expect(run.stdout.trim().split('\n').toSorted()).toEqual(['h1 | h1', 'h2 | h2'])
    const passed = await ana.fleet(['ssh', 'h1', '--', 'exit 7'], openssh)
    expect(passed.code).toBe(7)
    expect(await logins()).toBe(before + 1) // the broker's login, which all commands share
  })

  test('is shown by status and inspect', async () => {
    const { stdout } = await ana.fleet(['status', 'h1', '--json'], openssh)
    expect(JSON.parse(stdout)).toMatchObject([
      { state: 'running', sshClient: 'openssh', sshClientReason: 'FLEET_SSH is set' },
    ])
    expect((await ana.fleet(['inspect', 'h1'], openssh)).stdout).toContain(
      '# SSH client for h1: openssh (FLEET_SSH is set)',
    )
    expect((await ana.fleet(['inspect', 'h1'])).stdout).not.toContain('SSH client')
    expect(await ana.fleet(['ps', '-m', 'h1'], { env: { FLEET_SSH: 'putty' } })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('invalid value for FLEET_SSH: "putty"'),
    })
  })

  describe('and a Kerberos realm', () => {
    let realm: KerberosRealm
    let bea: TestUser
    let kerberos: { env: Record<string, string> }

    beforeAll(async () => {
      bea = await makeTestUser({ broker: true })
      realm = await startKerberos(join(bea.home, 'realm'), ['ana', 'bob'])
      const host = hostOf(lab, 2)
      await realm.join(host)
      kerberos = { env: { ...realm.env, PATH: `${realm.programs}:${bea.env['PATH'] ?? ''}` } }
      await writeFile(
        join(bea.home, '.ssh/config'),
        `Host web\n  HostName ${host.address}\n  User ana\n  GSSAPIAuthentication yes\n`,
      )
    })
    afterAll(async () => {
      realm[Symbol.dispose]()
      await bea[Symbol.asyncDispose]()
    })
    const adopt = ['adopt', 'web', '--accept-new']

    test('suggests kinit if there is no ticket', async () => {
      for (const client of ['builtin', 'openssh']) {
        const { code, stderr } = await bea.fleet(adopt, {
          env: { ...kerberos.env, FLEET_SSH: client },
        })
        expect(stderr).toContain('Kerberos: No Kerberos credentials available')
        expect(stderr).toContain('get a Kerberos ticket: kinit')
        expect(code).toBe(6)
      }
    })

    test('logs in with a ticket and no key, and reports why it uses ssh', async () => {
      await realm.logIn('ana')
      const adopted = await bea.fleet(adopt, kerberos)
      expect(`${adopted.code} ${adopted.stderr}`).toMatch(/^0 /)
      expect(adopted.stderr).not.toContain('no effect')
      expect(await bea.fleet(['ps', '-m', 'web', '--json'], kerberos)).toMatchObject({
        code: 0,
        stdout: '[]\n',
      })
      expect((await bea.fleet(['ssh', 'web', '--', 'id', '-un'], kerberos)).stdout).toBe('ana\n')
      const status = await bea.fleet(['status', 'web', '--json'], kerberos)
      expect(JSON.parse(status.stdout)).toMatchObject([
        {
          sshClient: 'openssh',
          sshClientReason: 'GSSAPIAuthentication is on and you have a Kerberos ticket',
        },
      ])
      const { stdout } = await hostOf(lab, 2).exec("grep -c 'Accepted gssapi' /var/log/sshd.log")
      expect(Number(stdout)).toBeGreaterThan(0)
    })

    test("reports that the host does not allow the ticket's principal", async () => {
      expect(await bea.fleet(['broker', 'stop'])).toMatchObject({ code: 0 })
      await realm.logOut()
      await realm.logIn('bob')
      const { code, stderr } = await bea.fleet(['ps', '-m', 'web'], kerberos)
      expect(stderr).toContain('Kerberos: your ticket was rejected')
      expect(stderr).toContain('~ana/.k5login')
      expect(code).toBe(6)
    })
  })

  test('leaves no ssh process behind when it is killed or stopped', async () => {
    expect(await masters()).not.toEqual([])
    process.kill(await brokerPid(), 'SIGKILL')
    await untilGone(commandLine())
    expect(await ana.fleet(['ps', '-m', 'h1'], openssh)).toMatchObject({ code: 0 })
    expect(await masters()).not.toEqual([])
    expect(await ana.fleet(['broker', 'stop'])).toMatchObject({ code: 0 })
    await untilGone(commandLine())
  })

  test('refuses a changed host key', async () => {
    await hostOf(lab).replaceHostKey()
    expect(await ana.fleet(['ps', '-m', 'h1'], openssh)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('the host key for h1'),
    })
    expect(await ana.fleet(['ps', '-m', 'h1'])).toMatchObject({ code: 5 })
  })
})
