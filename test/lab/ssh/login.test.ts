import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import { run } from '../../../src/transport/run.ts'
import { wireString } from '../../../src/transport/ssh/wire-format.ts'
import { type SshOptions, type SshTarget, connectSsh } from '../../../src/transport/ssh/connect.ts'
import {
  type Lab,
  type LabHost,
  accounts,
  labIsHere,
  password,
  startLab,
} from '../../support/lab/lab.ts'
import { startAgent } from '../../support/ssh/ssh-agent.ts'
import { hostOf, targetOf } from '../../support/ssh/ssh-target.ts'

const execute = promisify(execFile)

/** Logs in. Resolves to the user name on the host. */
async function whoAmI(target: SshTarget, options: SshOptions): Promise<string> {
  await using transport = await connectSsh(target, options)
  return (await run(transport, ['whoami'])).stdout.trim()
}

/** Returns a prompt that gives `answers` in order, and records the questions. */
function answering(...answers: readonly string[]) {
  const questions: { text: string; secret: boolean }[] = []
  return {
    questions,
    prompt: (question: { text: string; secret: boolean }) => {
      questions.push(question)
      const answer = answers[questions.length - 1]
      return answer === undefined
        ? Promise.reject(new Error('asked once more'))
        : Promise.resolve(answer)
    },
  }
}

/** Starts a proxy to sshd that delays everything after the greeting by `ms` milliseconds. */
async function greetAndDawdle(host: string, ms: number) {
  const server = createServer((near) => {
    const far = connect(22, host)
    near.pipe(far)
    far.once('data', (greeting) => {
      far.pause()
      near.write(greeting)
      setTimeout(() => far.pipe(near), ms)
    })
    for (const socket of [near, far])
      socket.on('error', () => [near, far].map((one) => one.destroy()))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

/** Resolves to the number of times that the strict sshd of a host has disconnected a client. */
const disconnectsOf = async (host: LabHost): Promise<number> =>
  Number((await host.exec('grep -c "Too many auth" /run/strict.log')).stdout)

describe.skipIf(!labIsHere)('a login over SSH', () => {
  let lab: Lab
  let host: LabHost
  let target: SshTarget
  let folder: string
  let env: { HOME: string }

  const makeKey = async (name: string, ...options: string[]) => {
    const file = join(folder, name)
    await execute('ssh-keygen', ['-q', '-N', '', '-C', name, '-f', file, ...options])
    return file
  }
  const letIn = async (file: string) => {
    const publicKey = await readFile(`${file}.pub`, 'utf8')
    await host.exec(`echo '${publicKey.trim()}' >> ${host.home}/.ssh/authorized_keys`)
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'login-'))
    lab = await startLab({
      hosts: 1,
      sshdOptions: {
        UsePAM: 'yes',
        KbdInteractiveAuthentication: 'yes',
        PasswordAuthentication: 'yes',
      },
    })
    host = hostOf(lab)
    target = { ...targetOf(lab, host), identityFiles: [] }
    env = { HOME: join(folder, 'home') }
    await mkdir(join(env.HOME, '.ssh'), { recursive: true })
  })
  afterAll(async () => {
    await lab[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  test.each([
    ['ed25519', []],
    ['ecdsa', ['-b', '384']],
    ['rsa', ['-b', '2048']],
    ['rsa', ['-b', '2048', '-m', 'PEM']],
    ['rsa', ['-b', '2048', '-m', 'PKCS8']],
    ['ecdsa', ['-b', '521', '-m', 'PKCS8']],
  ])('works with a key of type %s %j', async (type, options) => {
    const file = await makeKey(`${type}${options.join('')}`, '-t', type, ...options)
    await letIn(file)
    expect(await whoAmI({ ...target, identityFiles: [file] }, { env })).toBe('root')
  })

  test('works with the second key if the first is not accepted', async () => {
    const other = await makeKey('unknown')
    const identityFiles = [other, lab.identity.file]
    expect(await whoAmI({ ...target, identityFiles }, { env })).toBe('root')
  })

  test('works with a default key of ~/.ssh', async () => {
    await copyFile(lab.identity.file, join(env.HOME, '.ssh/id_ed25519'))
    expect(await whoAmI(target, { env })).toBe('root')
    await rm(join(env.HOME, '.ssh/id_ed25519'))
  })

  describe('with an encrypted key', () => {
    let file: string
    beforeAll(async () => {
      file = await makeKey('locked')
      await letIn(file)
      await execute('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'open sesame', '-f', file])
    })

    test('prompts for its passphrase, three times at most', async () => {
      const { prompt, questions } = answering('wrong', 'wrong too', 'open sesame')
      expect(await whoAmI({ ...target, identityFiles: [file] }, { env, prompt })).toBe('root')
      const question = `Passphrase for ${file}:`
      const again = `Wrong passphrase. ${question}`
      expect(questions.map(({ text }) => text)).toEqual([question, again, again])
      expect(questions.every(({ secret }) => secret)).toBe(true)
    })

    test('does not prompt for a key that is not accepted', async () => {
      const stranger = await makeKey('stranger')
      await execute('ssh-keygen', ['-q', '-p', '-P', '', '-N', 'secret', '-f', stranger])
      const { prompt, questions } = answering()
      const identityFiles = [stranger, lab.identity.file]
      expect(await whoAmI({ ...target, identityFiles }, { env, prompt })).toBe('root')
      expect(questions).toEqual([])
    })

    test('names the key if there is no prompt', async () => {
      const login = connectSsh({ ...target, identityFiles: [file] }, { env })
      await expect(login).rejects.toMatchObject({
        kind: 'credentials',
        message: expect.stringContaining(`${file} (the key requires a passphrase)`),
      })
    })

    test('does not prompt if the agent has the key', async () => {
      using agent = await startAgent(folder)
      const open = join(folder, 'opened')
      await copyFile(file, open)
      await execute('ssh-keygen', ['-q', '-p', '-P', 'open sesame', '-N', '', '-f', open])
      await agent.add(open)
      const { prompt, questions } = answering()
      const options = { env: { ...env, SSH_AUTH_SOCK: agent.socket }, prompt }
      expect(await whoAmI({ ...target, identityFiles: [file] }, options)).toBe('root')
      expect(questions).toEqual([])
    })

    test('fails immediately with the reason if the user cancels the prompt', async () => {
      const cancelled = new UserError('cancelled', 'cancelled: nothing was changed')
      const prompt = () => Promise.reject(cancelled)
      const login = connectSsh({ ...target, identityFiles: [file] }, { env, prompt })
      await expect(login).rejects.toBe(cancelled)
    })
  })

  describe('with the agent', () => {
    test.each(['ed25519', 'ecdsa', 'rsa'])('works with an agent key of type %s', async (type) => {
      using agent = await startAgent(folder)
      const file = await makeKey(`agent-${type}`, '-t', type)
      await letIn(file)
      await agent.add(file)
      expect(await whoAmI(target, { env: { ...env, SSH_AUTH_SOCK: agent.socket } })).toBe('root')
    })

    test("offers the key of a .pub file before the agent's other keys", async () => {
      using agent = await startAgent(folder)
      for (let count = 0; count < 6; count += 1) await agent.add(await makeKey(`many-${count}`))
      const file = await makeKey('wanted')
      await letIn(file)
      await agent.add(file)
      const identityFiles = [`${file}.pub`]
      const options = { env: { ...env, SSH_AUTH_SOCK: agent.socket } }
      expect(await whoAmI({ ...target, identityFiles }, options)).toBe('root')
    })

    describe("with more keys than the server's MaxAuthTries", () => {
      const port = 2203
      let agent: Awaited<ReturnType<typeof startAgent>>
      let strict: SshTarget
      const withAgent = () => ({ env: { ...env, SSH_AUTH_SOCK: agent.socket } })
      beforeAll(async () => {
        await host.exec(
          `sed '/^PidFile/d' /etc/ssh/sshd_config > /etc/ssh/strict
          echo 'Port ${port}\nMaxAuthTries 3\nPidFile /run/strict.pid' >> /etc/ssh/strict
          /usr/sbin/sshd -f /etc/ssh/strict -E /run/strict.log`,
        )
        strict = { ...target, port, identityFiles: [] }
        agent = await startAgent(folder)
        for (let count = 0; count < 9; count += 1)
          await agent.add(await makeKey(`too-many-${count}`))
      })
      afterAll(() => agent[Symbol.dispose]())

      test('offers the others on new connections, and names all rejected keys', async () => {
        const failure = await connectSsh(strict, withAgent()).catch((error: unknown) => error)
        expect(failure).toMatchObject({ kind: 'credentials' })
        const { message } = failure as UserError
        expect(message).toContain('the server accepts none of the keys offered')
        expect(message.match(/SHA256:/g)).toHaveLength(9)
      })

      test('finds the right key at the end, and reports which one it was', async () => {
        const file = await makeKey('the-tenth')
        await letIn(file)
        await agent.add(file)
        const { stdout } = await execute('ssh-keygen', ['-lf', file])
        const keys: string[] = []
        const onKeyLogin = (key: string) => keys.push(key)
        expect(await whoAmI(strict, { ...withAgent(), onKeyLogin })).toBe('root')
        expect(keys).toEqual([stdout.split(' ')[1]])
        const before = await disconnectsOf(host)
        const known = { ...strict, key: keys[0] }
        expect(await whoAmI(known, withAgent())).toBe('root')
        expect(await disconnectsOf(host)).toBe(before)
      })
    })

    test('offers the other keys if the agent does not respond, and names its socket', async () => {
      const options = { env: { ...env, SSH_AUTH_SOCK: '/nowhere/agent' } }
      const identityFiles = [lab.identity.file]
      expect(await whoAmI({ ...target, identityFiles }, options)).toBe('root')
      await expect(connectSsh(target, options)).rejects.toMatchObject({
        message: expect.stringContaining('the keys in the agent at /nowhere/agent'),
      })
    })
  })

  test('works with an Ed25519 key in PKCS#8 format, as written by OpenSSL', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const file = join(folder, 'openssl')
    await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
    const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
    const blob = Buffer.concat([wireString('ssh-ed25519'), wireString(raw)])
    await writeFile(`${file}.pub`, `ssh-ed25519 ${blob.toString('base64')}\n`)
    await letIn(file)
    expect(await whoAmI({ ...target, identityFiles: [file] }, { env })).toBe('root')
    const locked = privateKey.export({
      ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
    } as const)
    await writeFile(file, locked, { mode: 0o600 })
    const { prompt, questions } = answering('wrong', 'secret')
    expect(await whoAmI({ ...target, identityFiles: [file] }, { env, prompt })).toBe('root')
    expect(questions).toHaveLength(2)
  })

  test('refuses private keys that other users can read, like ssh', async () => {
    const file = await makeKey('open-to-all')
    await letIn(file)
    for (const mode of [0o644, 0o640, 0o604]) {
      await chmod(file, mode)
      await expect(connectSsh({ ...target, identityFiles: [file] }, { env })).rejects.toMatchObject(
        {
          kind: 'credentials',
          message: expect.stringContaining(`the permissions 0${mode.toString(8)} are too open`),
          hint: `to restrict access: chmod 600 ${file}`,
        },
      )
    }
    await chmod(file, 0o400)
    expect(await whoAmI({ ...target, identityFiles: [file] }, { env })).toBe('root')
  })

  describe('with a certificate', () => {
    let authority: string
    const certify = async (file: string, ...options: string[]) =>
      execute('ssh-keygen', [
        '-q',
        '-s',
        authority,
        '-I',
        'me',
        '-n',
        'root',
        ...options,
        `${file}.pub`,
      ])

    beforeAll(async () => {
      authority = await makeKey('authority')
      const publicKey = await readFile(`${authority}.pub`, 'utf8')
      await host.exec(
        `echo '${publicKey.trim()}' > /etc/ssh/ca.pub
        echo 'TrustedUserCAKeys /etc/ssh/ca.pub' >> /etc/ssh/sshd_config
        starts() { grep -c 'Server listening' /var/log/sshd.log; }
        before=$(starts); kill -HUP "$(cat /run/sshd.pid)"
        until [ "$(starts)" -gt "$before" ]; do sleep 0.1; done`,
      )
    })

    test.each([
      ['ed25519', []],
      ['ecdsa', ['-b', '256']],
      ['rsa', ['-b', '2048']],
    ])('works for a key of type %s with the certificate next to it', async (type, options) => {
      const file = await makeKey(`certified-${type}`, '-t', type, ...options)
      await certify(file)
      expect(await whoAmI({ ...target, identityFiles: [file] }, { env })).toBe('root')
    })

    test('works for a key in the agent', async () => {
      using agent = await startAgent(folder)
      for (const type of ['ed25519', 'rsa']) {
        const file = await makeKey(`in-agent-${type}`, '-t', type)
        await certify(file)
        await agent.add(file)
        const options = { env: { ...env, SSH_AUTH_SOCK: agent.socket } }
        expect(await whoAmI(target, options)).toBe('root')
        await execute('ssh-add', ['-q', '-D'], { env: { SSH_AUTH_SOCK: agent.socket } })
      }
    })

    test('works with one in another file, and reports one for another user', async () => {
      const file = await makeKey('elsewhere')
      await certify(file)
      const certificate = join(folder, 'moved.pub')
      await rename(`${file}-cert.pub`, certificate)
      const withCertificate = { ...target, identityFiles: [file], certificateFiles: [certificate] }
      expect(await whoAmI(withCertificate, { env })).toBe('root')
      await certify(file, '-n', 'nobody', '-V', '20200101Z:20990101Z')
      await expect(connectSsh({ ...target, identityFiles: [file] }, { env })).rejects.toMatchObject(
        {
          kind: 'credentials',
          message: expect.stringContaining(
            `certificate for ${file}, valid from 2020-01-01T00:00:00Z to 2099-01-01T00:00:00Z)`,
          ),
          hint: expect.stringMatching(/clock.*TrustedUserCAKeys/),
        },
      )
    })

    test.each([
      [
        '20190101Z:20200102Z',
        'which expired at 2020-01-02T00:00:00Z',
        /new certificate.*this computer's clock/,
      ],
      [
        '20990101Z:21000101Z',
        'which is not valid before 2099-01-01T00:00:00Z',
        /this computer's clock/,
      ],
    ])('reports the dates of one that is valid only in %s', async (dates, words, hint) => {
      const file = await makeKey(`dated-${dates.slice(0, 4)}`)
      await certify(file, '-V', dates)
      await expect(connectSsh({ ...target, identityFiles: [file] }, { env })).rejects.toMatchObject(
        {
          ...{ kind: 'credentials', machine: host.name },
          message: expect.stringContaining(`${file}, ${words}`),
          hint: expect.stringMatching(hint),
        },
      )
    })
  })

  const requireMethods = (methods: string) =>
    host.exec(
      `sed -i '/^AuthenticationMethods/d; /^Banner/d' /etc/ssh/sshd_config
      printf 'AuthenticationMethods %s\\nBanner /etc/ssh/notice\\n' '${methods}' >> /etc/ssh/sshd_config
      echo 'Tokens are renewed on Mondays.' > /etc/ssh/notice
      kill -HUP "$(cat /run/sshd.pid)"`,
    )

  describe('when a key is not sufficient', () => {
    let file: string
    const asAna = () => ({ ...target, user: 'ana', identityFiles: [file] })
    const failure = () => connectSsh(asAna(), { env }).catch((error: unknown) => error)

    beforeAll(async () => {
      file = lab.identity.file
    })
    afterAll(() =>
      host.exec(
        `sed -i '/^AuthenticationMethods/d; /^Banner/d' /etc/ssh/sshd_config; kill -HUP "$(cat /run/sshd.pid)"`,
      ),
    )

    test.each(['publickey,keyboard-interactive', 'publickey,password'])(
      "reports that %s are required, with the server's banner",
      async (methods) => {
        await requireMethods(methods)
        await expect.poll(failure).toMatchObject({
          kind: 'credentials',
          message: expect.stringMatching(
            new RegExp(
              `the server accepted the key SHA256:.*; it also requires ${methods.split(',')[1]}.*Tokens are renewed`,
            ),
          ),
          hint: expect.stringContaining('in a terminal'),
        })
        const { prompt, questions } = answering(password)
        expect(await whoAmI(asAna(), { env, prompt })).toBe('ana')
        expect(questions).toHaveLength(1)
      },
    )

    test('reports which methods the server accepts if keys are not among them', async () => {
      await requireMethods('password')
      await expect.poll(failure).toMatchObject({
        kind: 'credentials',
        message: expect.stringContaining('the server accepts no keys for this user, only password'),
      })
    })

    test('offers two keys in succession', async () => {
      const second = await makeKey('second-factor')
      const publicKey = await readFile(`${second}.pub`, 'utf8')
      await host.exec(`echo '${publicKey.trim()}' >> ${accounts.ana.home}/.ssh/authorized_keys`)
      await requireMethods('publickey,publickey')
      await expect.poll(failure).toMatchObject({
        message: expect.stringContaining('it also requires publickey'),
      })
      const both = { ...asAna(), identityFiles: [file, second] }
      expect(await whoAmI(both, { env })).toBe('ana')
    })
  })

  test('offers no key twice', async () => {
    using agent = await startAgent(folder)
    const file = await makeKey('once')
    await agent.add(file)
    const options = { env: { ...env, SSH_AUTH_SOCK: agent.socket } }
    const failure = await connectSsh({ ...target, identityFiles: [file, file] }, options).catch(
      (error: unknown) => error,
    )
    expect((failure as UserError).message.match(/SHA256:/g)).toHaveLength(1)
  })

  test('prompts with the questions of the server', async () => {
    const { prompt, questions } = answering('wrong', password)
    expect(await whoAmI({ ...target, user: 'ana' }, { env, prompt })).toBe('ana')
    expect(questions.map(({ secret }) => secret)).toEqual([true, true])
    expect(questions[0]?.text).toContain('Password')
  })

  test('prompts for the password if the server sends no questions', async () => {
    await using plain = await startLab({
      hosts: 1,
      sshdOptions: { UsePAM: 'yes', PasswordAuthentication: 'yes' },
    })
    const user = { ...targetOf(plain, hostOf(plain)), identityFiles: [], user: 'ana' }
    const { prompt, questions } = answering('wrong', password)
    expect(await whoAmI(user, { env, prompt })).toBe('ana')
    expect(questions[0]).toEqual({ text: 'Password:', from: `ana@${user.address}`, secret: true })
  })

  test('uses both if the server requires a key and a password', async () => {
    await using strict = await startLab({
      hosts: 1,
      sshdOptions: {
        UsePAM: 'yes',
        KbdInteractiveAuthentication: 'yes',
        AuthenticationMethods: 'publickey,keyboard-interactive',
      },
    })
    const user = { ...targetOf(strict, hostOf(strict)), user: 'ana' }
    const { prompt, questions } = answering(password)
    expect(await whoAmI(user, { env, prompt })).toBe('ana')
    expect(questions).toHaveLength(1)
  })

  test('waits for the user without a timeout', async () => {
    const options = { env, prompt: () => sleep(3_500, password), connectTimeoutMs: 3_000 }
    expect(await whoAmI({ ...target, user: 'ana' }, options)).toBe('ana')
  })

  test('with loginTimeoutMs, waits longer for a host that has sent its greeting', async () => {
    const near = await greetAndDawdle(host.address, 4_500)
    const { port } = near.address() as AddressInfo
    const slow = { ...target, user: 'ana', address: '127.0.0.1', port }
    const options = { env, prompt: async () => password, connectTimeoutMs: 3_000 }
    try {
      await expect(whoAmI(slow, options)).rejects.toMatchObject({ kind: 'unreachable' })
      expect(await whoAmI(slow, { ...options, loginTimeoutMs: 120_000 })).toBe('ana')
    } finally {
      near.close()
    }
  })

  test('reports nothing of the content of a key that cannot be parsed', async () => {
    const file = join(folder, 'broken')
    await writeFile(
      file,
      '-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n',
    )
    const login = connectSsh({ ...target, identityFiles: [file] }, { env })
    const failure = (await login.catch((error: unknown) => error)) as UserError
    expect(failure.message).toContain(`${file} (`)
    expect(failure.message).not.toContain('c2VjcmV0')
  })
})
