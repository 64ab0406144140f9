import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openEngine } from '../../../src/engine/http-engine.ts'
import { readInfo } from '../../../src/engine/system.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { probeHost } from '../../../src/operations/adopt/probe-host.ts'
import { dialEngine } from '../../../src/operations/connect/reach-engine.ts'
import { provisionHost } from '../../../src/operations/provision/provision-host.ts'
import { run } from '../../../src/transport/run.ts'
import { type Prompt, type SshTarget, connectSsh } from '../../../src/transport/ssh/connect.ts'
import { type Lab, type LabHost, labIsHere, password, startLab } from '../../support/lab/lab.ts'
import { startExtraSshd } from '../../support/ssh/extra-sshd.ts'
import { hostOf, targetOf } from '../../support/ssh/ssh-target.ts'

/** Users of the host, and their login shells. */
const shells = {
  fay: '/usr/bin/fish',
  tom: '/bin/tcsh',
  ned: '/usr/sbin/nologin',
  fran: '/bin/false',
  una: '/bin/bash',
  old: '/bin/bash',
  ivan: '/bin/bash',
}

const addUsers = Object.entries(shells)
  .map(([name, shell], index) => {
    const uid = 2000 + index
    return `echo '${name}:x:${uid}:${uid}::/srv/${name}:${shell}' >> /etc/passwd
      echo '${name}:*:19000:0:99999:7:::' >> /etc/shadow
      mkdir -p /srv/${name}/.ssh && cp /srv/root/.ssh/authorized_keys /srv/${name}/.ssh && chown -R ${uid}:${uid} /srv/${name}`
  })
  .join('\n')

const connect = (target: SshTarget) => connectSsh(target, { env: { HOME: '/nowhere' } })
const probe = async (target: SshTarget) => {
  await using transport = await connect(target)
  const signal = AbortSignal.timeout(60_000)
  return await probeHost({
    ...{ machine: target.machine as MachineName, transport, socket: undefined, signal },
  })
}

describe.skipIf(!labIsHere)('an unusual SSH server', () => {
  let lab: Lab
  let host: LabHost
  let ports = 2300

  /** Starts another sshd with other settings on the host. Resolves to the target with its port. */
  async function startSshd(settings: Readonly<Record<string, string>>): Promise<SshTarget> {
    const port = (ports += 1)
    await startExtraSshd(host, port, settings)
    return { ...targetOf(lab, host), port }
  }
  const provisionBob = async (prompt?: Prompt) => {
    const target = { ...targetOf(lab, host), user: 'bob' }
    await using transport = await connect(target)
    const signal = AbortSignal.timeout(60_000)
    return await provisionHost(
      { machine: 'h1' as MachineName, transport, socket: undefined, signal },
      undefined,
      { progress: () => {}, approve: async () => true, prompt },
    )
  }
  const asUser = (user: keyof typeof shells): SshTarget => ({ ...targetOf(lab, host), user })

  beforeAll(async () => {
    lab = await startLab({ hosts: 1, engine: true })
    host = hostOf(lab)
    await host.exec(
      `${addUsers}
      sed -i 's/^docker:.*/docker:x:2375:fay,tom/' /etc/group
      sed -i 's/^old:.*/old:*:19000:0:99999:7::1:/; s/^una:.*/una:*:0:0:99999:7:::/' /etc/shadow
      sed -i 's/^/command="internal-sftp" /' /srv/ivan/.ssh/authorized_keys`,
    )
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())

  describe.each(['fay', 'tom'] as const)('whose user %s has a shell that is not POSIX', (user) => {
    test('runs programs with all arguments unchanged', async () => {
      await using transport = await connect(asUser(user))
      const script = 'printf "%s\\n" "$1"\necho "it works!" # it\'s'
      const { stdout } = await run(transport, ['sh', '-c', script, 'sh', 'two\nlines\\'])
      expect(stdout).toBe('two\nlines\\\nit works!\n')
    })

    test('can be inspected, and its engine reached without forwarding', async () => {
      const closed = await startSshd({ AllowStreamLocalForwarding: 'no', MaxSessions: '1' })
      expect((await probe({ ...closed, user })).engine?.direct).toBe(true)
      await using transport = await connect({ ...closed, user })
      const dial = dialEngine(transport, '/var/run/docker.sock', host.name)
      await using engine = openEngine(dial, { label: host.name })
      expect((await readInfo(engine)).Name).toBe(host.name)
    })
  })

  test.each(['/usr/bin/fish', '/bin/tcsh'])(
    'with the root shell %s runs commands, which can be killed',
    async (shell) => {
      await host.exec(`sed -i 's,^\\(root:.*\\):[^:]*$,\\1:${shell},' /etc/passwd`)
      await using transport = await connect(targetOf(lab, host))
      expect(await run(transport, { shell: 'echo hello' })).toEqual({
        ...{ code: 0, stdout: 'hello\n', stderr: '' },
      })
      const sleeping = await transport.exec(['sleep', '1000'])
      sleeping.stdout.resume()
      sleeping.stderr.resume()
      await expect.poll(async () => (await host.exec('pgrep -x sleep -a')).stdout).toContain('1000')
      sleeping.kill('TERM')
      expect(await sleeping.exit).toEqual({ signal: 'TERM' })
    },
  )

  test.each([
    ['ned', 'This account is currently not available'],
    ['fran', 'exit code 1 and no output'],
    ['ivan', ''],
  ] as const)('that runs no commands for %s is reported as such', async (user, words) => {
    await expect(probe(asUser(user))).rejects.toMatchObject({
      kind: 'unsupported',
      machine: 'h1',
      message: expect.stringMatching(new RegExp(`cannot run commands: .*${words}`)),
      hint: expect.stringMatching(/nologin.*command=.*ForceCommand/),
    })
  })

  test('with a login shell that hangs is reported as such', async () => {
    await host.exec('echo "sleep 1000" > /srv/una/.bashrc')
    await using transport = await connect(asUser('una'))
    await expect(run(transport, ['true'], { idleTimeoutMs: 1_500 })).rejects.toMatchObject({
      kind: 'unreachable',
      message: 'the login shell did not run a command within 1.5 s',
      hint: expect.stringContaining('.bashrc'),
    })
  })

  const limitSudo = (sudoers: string) =>
    host.exec(`printf '${sudoers}\n' > /etc/sudoers.d/bob; gpasswd -d bob docker`)

  test('whose sudo requires a password is reported as such without a prompt', async () => {
    await limitSudo('bob ALL=(ALL) ALL')
    await expect(provisionBob()).rejects.toMatchObject({
      kind: 'credentials',
      message: expect.stringMatching(
        /^sudo requires bob's password to add bob to the docker group/,
      ),
      hint: expect.stringContaining('in a terminal'),
    })
  })

  describe.each([
    ['a password', 'bob ALL=(ALL) ALL', 1],
    ['a terminal', 'Defaults:bob requiretty\nbob ALL=(ALL) NOPASSWD: ALL', 0],
    ['a password and a terminal', 'Defaults:bob requiretty\nbob ALL=(ALL) ALL', 1],
  ] as const)('whose sudo requires %s', (_, sudoers, questions) => {
    beforeAll(async () => {
      await limitSudo(sudoers)
    })

    test('is provisioned, with a second prompt after a wrong password', async () => {
      const asked: string[] = []
      const { plan } = await provisionBob(async ({ text, secret }) => {
        expect(secret).toBe(true)
        asked.push(text)
        return asked.length === 1 ? 'wrong' : password
      })
      expect(asked).toHaveLength(questions * 2)
      expect(plan.map(({ description }) => description)).toEqual([
        expect.stringContaining('docker group'),
      ])
      expect((await host.exec('id -nG bob')).stdout).toContain('docker')
    })
  })

  describe('with PAM', () => {
    let pam: SshTarget
    beforeAll(async () => {
      pam = await startSshd({ UsePAM: 'yes' })
    })

    test('reports the key of an expired account, after one attempt', async () => {
      await expect(probe({ ...pam, user: 'old' })).rejects.toMatchObject({
        kind: 'credentials',
        message: expect.stringMatching(
          /accepted the key SHA256:.* and then closed the connection.*expired/,
        ),
        hint: expect.stringContaining('chage -l old'),
      })
      const { stdout } = await host.exec(`grep -c 'Access denied' /run/sshd-${pam.port}.log`)
      expect(stdout.trim()).toBe('1')
    })

    test('reports that the password must be changed', async () => {
      await expect(probe({ ...pam, user: 'una' })).rejects.toMatchObject({
        kind: 'credentials',
        message: expect.stringContaining("the user's password must be changed first"),
        hint: expect.stringContaining('ssh'),
      })
    })

    test('is reported as unreachable while the host boots', async () => {
      await host.exec('echo "System is booting up. Try later." > /run/nologin')
      const failure = probe({ ...pam, user: 'fay' })
      await expect(failure).rejects.toMatchObject({
        kind: 'unreachable',
        message: expect.stringContaining('System is booting up'),
      })
      await host.exec('rm /run/nologin')
    })
  })

  test('that allows one login at a time accepts many eventually', async () => {
    const busy = await startSshd({ MaxStartups: '1:100:2' })
    const all = await Promise.all(
      Array.from({ length: 6 }, async () => {
        await using transport = await connect(busy)
        return (await run(transport, ['whoami'])).stdout
      }),
    )
    expect(new Set(all)).toEqual(new Set(['root\n']))
  })
})
