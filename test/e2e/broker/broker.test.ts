import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'
import { shellQuote } from '../../../src/os/shell-quote.ts'
import { netcatLine, processesWith, untilGone } from '../../support/ssh/proxy.ts'
import { hostOf } from '../../support/ssh/ssh-target.ts'

interface Status {
  readonly pid?: number
  readonly hosts: readonly { readonly machine: string; readonly state: string }[]
}

/** Replaces ages in the output, which change with time. */
const timeless = <Answer extends { readonly stdout: string }>(answer: Answer) => ({
  ...answer,
  stdout: answer.stdout.replaceAll(/\d+ seconds?/g, 'N seconds'),
})

describe.skipIf(!labIsHere)('with the broker', () => {
  let lab: Lab
  let host: LabHost
  let ana: TestUser

  beforeAll(async () => {
    lab = await startLab({ hosts: 2, engine: true, image: true })
    host = hostOf(lab)
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    for (const { name, address } of lab.hosts) {
      const adopt = ['adopt', `root@${address}`, '--name', name, '--accept-new']
      expect(await ana.fleet(adopt)).toMatchObject({ code: 0 })
    }
    expect(await ana.fleet(['use', 'h1'])).toMatchObject({ code: 0 })
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  const status = async (): Promise<Status> =>
    JSON.parse((await ana.fleet(['broker', 'status', '--json'])).stdout) as Status
  const logins = async () => Number((await host.exec("pgrep -c -f '^sshd: root@'")).stdout)
  /** Waits until a search command on the host finds nothing. */
  const gone = (search: string) =>
    vi.waitFor(async () => expect((await host.exec(search)).code).toBe(1), 120_000)
  /** Resolves to the total number of logins. */
  const accepted = async () =>
    Number((await host.exec("grep -c '^Accepted publickey' /var/log/sshd.log")).stdout)
  const start = (...args: readonly string[]) =>
    spawn(program, args, { env: ana.env, cwd: ana.folder })

  /**
   * Runs fleet, and reports as `alone` whether it parsed its command line itself instead of leaving that to the broker.
   */
  async function answersAlone(args: readonly string[], input = '') {
    const file = join(ana.folder, 'loaded')
    const hook = join(ana.folder, 'hook.cjs')
    await writeFile(
      hook,
      `process.on('exit', () => require('fs').writeFileSync(${JSON.stringify(file)}, Object.keys(require.cache).join()))`,
    )
    const answer = await ana.fleet(args, { input, env: { NODE_OPTIONS: `--require ${hook}` } })
    return { ...timeless(answer), alone: /chunks\/process\.js/.test(await readFile(file, 'utf8')) }
  }

  /** Resolves to the names that completion offers for the last of `words`. */
  async function namesOffered(...words: string[]) {
    const { stdout, alone } = await answersAlone(['__complete', ...words])
    return { alone, names: stdout.split('\n').map((line) => line.split('\t')[0]) }
  }

  test('concurrent commands start one broker, and share one connection', async () => {
    await ana.fleet(['broker', 'stop'])
    expect((await status()).pid).toBe(undefined)
    const secrets = [
      ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'],
      ...['AWS_CONTAINER_AUTHORIZATION_TOKEN', 'AZURE_CLIENT_SECRET', 'ARM_CLIENT_SECRET'],
      ...[
        'AZURE_FEDERATED_TOKEN',
        'IDENTITY_HEADER',
        'MSI_SECRET',
        'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
      ],
      ...['HTTPS_PROXY', 'GOOGLE_APPLICATION_CREDENTIALS', 'GITHUB_TOKEN', 'FLEET_PASSWORD'],
      ...['ACME_TOKEN', 'NODE_EXTRA_CA_CERTS_PASSWORD', 'VAULT_TOKEN'],
    ]
    const env = Object.fromEntries(secrets.map((name) => [name, 's3cret']))
    const ssh = ['ssh', 'h1', 'echo', '$PPID']
    const commands = Array.from({ length: 6 }, () => ana.fleet(ssh, { env }))
    const answers = await Promise.all(commands)
    expect(answers.map(({ code, stderr }) => [code, stderr])).toEqual(answers.map(() => [0, '']))
    expect(new Set(answers.map(({ stdout }) => stdout)).size).toBe(1)
    const { pid, hosts } = await status()
    expect(pid).toBeGreaterThan(1)
    expect(hosts).toMatchObject([{ machine: 'h1', state: 'connected' }])
    expect(await logins()).toBe(1)
    // The broker keeps no secrets from the environment of the command that started it.
    expect(await readFile(`/proc/${pid}/environ`, 'latin1')).not.toContain('s3cret')
  })

  test('every kind of command uses its connection', async () => {
    const asked = { input: 'hello' }
    expect(await ana.fleet(['ssh', 'h1', 'cat; exit 7'], asked)).toEqual({
      code: 7,
      stdout: 'hello',
      stderr: '',
    })
    expect(await ana.fleet(['ps', '--all', '-q'])).toMatchObject({ code: 0, stdout: '' })
    expect(await ana.fleet(['run', '-i', '--rm', 'bb:1', 'cat'], asked)).toMatchObject({
      code: 0,
      stdout: 'hello',
    })
    const without = { ...asked, env: { PATH: ana.folder } }
    expect(await ana.fleet(['run', '-i', '--rm', 'bb:1', 'cat'], without)).toMatchObject({
      code: 0,
      stdout: 'hello',
    })
    expect(await ana.fleet(['cp', program, 'h1:/srv/copied'])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['cp', 'h1:/srv/copied', 'h2:/srv/copied'])).toMatchObject({ code: 0 })
    const complete = async (word: string) => (await ana.fleet(['__complete', 'cp', word])).stdout
    await expect.poll(() => complete('h1:/srv/cop')).toBe('h1:/srv/copied\n')
    await expect.poll(() => complete('h1:/sr')).toBe('h1:/srv/\n')
    expect(await complete('h1:/no/such')).toBe('')
    expect(await complete('h1:$(touch /srv/hacked)')).toBe('')
    expect(await logins()).toBe(1)
  })

  test('a large file is copied over a separate connection, which is then closed', async () => {
    const content = Buffer.alloc(40_000_000, 'a long file ')
    await writeFile(join(ana.folder, 'long'), content)
    const before = await accepted()
    expect(await ana.fleet(['cp', 'long', 'h1:/srv/long'])).toMatchObject({ code: 0 })
    expect(await ana.fleet(['cp', 'h1:/srv/long', 'back'])).toMatchObject({ code: 0 })
    expect(content.equals(await readFile(join(ana.folder, 'back')))).toBe(true)
    expect(await accepted()).toBe(before + 2)
    await vi.waitFor(async () => expect(await logins()).toBe(1), 120_000)
  })

  describe('frequent commands, which the broker runs itself', () => {
    beforeAll(async () => {
      await host.exec('docker run -d --name sleeper bb:1 sleep 1000')
      await host.exec("docker run --name talker bb:1 sh -c 'seq 100000; echo trouble >&2'")
      await ana.fleet(['ps', '--all', '-q'])
      // The broker loads the code for this command only after it has served its first commands.
      await vi.waitFor(async () => expect((await answersAlone(['ps'])).alone).toBe(false), 120_000)
      // In a container's first second, its age is worded differently.
      await vi.waitFor(
        async () => expect((await ana.fleet(['ps'])).stdout).toMatch(/Up \d/),
        120_000,
      )
    })
    afterAll(() => host.exec('docker rm -f sleeper talker'))

    test('print the same output as without the broker', async () => {
      for (const args of [
        ['ps'],
        ['-m', 'h1', 'ps', '--json'],
        ['--all', 'ps', '-q'],
        ['ps', '--on', 'h1,h2'],
        ['images'],
        ['logs', '--tail', '3', 'talker'],
        ['logs', '--on', 'h1', '-t', '--tail', '5000', 'talker'],
        ['history', 'bb:1'],
        ['df', '--all'],
      ]) {
        const alone = timeless(await ana.fleet(args, { env: { FLEET_BROKER: 'off' } }))
        expect(alone.code).toBe(0)
        expect({ args, ...(await answersAlone(args)) }).toEqual({ args, ...alone, alone: false })
      }
    })

    test('include the completion of names on connected hosts', async () => {
      const patient = { timeout: 60_000 } // names of engines that respond late are offered at the next Tab press
      const both = { alone: false, names: ['talker', 'sleeper', ''] }
      const running = { alone: false, names: ['sleeper', ''] }
      const images = { alone: false, names: ['bb:1', ''] }
      const offers = (...words: string[]) => expect.poll(() => namesOffered(...words), patient)
      await offers('logs', '').toEqual(both)
      await offers('-m', 'h1', 'logs', 'tal').toEqual({
        alone: false,
        names: ['talker', ''],
      })
      await offers('exec', '-it', '').toEqual(running)
      await offers('exec', '-m', 'h1', '-u', '7', 'sl').toEqual(running)
      await offers('exec', 'sleeper', '').toMatchObject({ names: [':files', ''] })
      await offers('container', 'rm', 'sleeper', '').toEqual(both)
      await offers('container', 'start', '--on', 'h1', '').toEqual({
        alone: false,
        names: ['talker', ''],
      })
      await offers('run', '--rm', '').toEqual(images)
      await offers('image', 'rm', 'b').toEqual(images)
      await offers('docker', 'image', 'rm', '').toEqual(images)
      const nowhere = { env: { FLEET_BROKER: 'off' } }
      expect(await ana.fleet(['__complete', 'logs', ''], nowhere)).toMatchObject({ stdout: '' })
    })

    test('do not include a long log, which would delay others', async () => {
      const args = ['logs', '-t', 'talker']
      const alone = await ana.fleet(args, { env: { FLEET_BROKER: 'off' } })
      expect(alone.stdout.split('\n')).toHaveLength(100_001)
      expect(await answersAlone(args)).toEqual({ ...alone, alone: true })
    })

    test('include ssh and exec, with their input, both outputs and exit code', async () => {
      const long = 'a line that is long enough\n'.repeat(200_000)
      for (const [input, code, ...args] of [
        ['some', 7, 'ssh', 'h1', 'cat; echo trouble >&2; exit 7'],
        [long, 0, 'ssh', 'h1', 'sha256sum'],
        ['', 0, 'ssh', 'h1', '--', 'seq', '300000'],
        ['', 137, 'ssh', 'h1', 'kill -KILL $$'],
        ['', 0, 'ssh', '--on', 'h1,h2', '--', 'hostname'],
        ['', 1, 'ssh', '--all', '--json', '--', 'exit 3'],
        ['some', 3, 'exec', '-i', 'sleeper', 'sh', '-c', 'cat; echo trouble >&2; exit 3'],
        [long, 0, 'exec', '-i', 'sleeper', 'cat'],
        ['', 126, 'exec', 'sleeper', 'no-such-program'],
        ['', 0, '-m', 'h1', 'exec', '-u', '7', '-w/tmp', '-eA=b', 'sleeper', 'env'],
      ] as const) {
        const alone = await ana.fleet(args, { input, env: { FLEET_BROKER: 'off' } })
        expect({ args, code: alone.code }).toEqual({ args, code })
        const sorted = ({ stdout, ...rest }: typeof alone) => ({
          ...rest,
          stdout: /--on|--all/.test(String(args)) ? stdout.split('\n').sort().join('\n') : stdout,
        })
        const { alone: wasAlone, ...hosted } = await answersAlone(args, input)
        expect({ args, ...sorted(hosted), wasAlone }).toEqual({
          ...{ args, ...sorted(alone), wasAlone: false },
        })
      }
    })

    test('receive signals, and are terminated with the client', async () => {
      const running = start('ssh', 'h1', "trap 'exit 5' TERM; echo ready; sleep 1000 & wait")
      await once(running.stdout, 'data')
      running.kill('SIGTERM')
      expect(await once(running, 'close')).toEqual([5, null])
      const left = start('ssh', 'h1', 'echo ready; exec sleep 54321')
      await once(left.stdout, 'data')
      left.kill('SIGKILL')
      await gone("pgrep -f '^sleep 54321'")
      const inside = start('exec', 'sleeper', 'sh', '-c', 'echo ready; sleep 5')
      await once(inside.stdout, 'data')
      inside.kill('SIGINT')
      expect(await once(inside, 'close')).toEqual([130, null])
    })

    test('are terminated when the reader closes the output', async () => {
      const running = start('ssh', 'h1', 'yes')
      await once(running.stdout, 'data')
      running.stdout.destroy()
      expect(await once(running, 'close')).toEqual([0, null])
      await gone('pgrep -x yes')
    })

    test('resize their terminal with the window', async () => {
      const typing = [
        { at: '# ', type: 'PS1=$(echo ready)"> "\n' },
        { at: 'ready> ', type: 'stty size\n' },
        { at: 'ready> ', type: 'stty size\n', size: [31, 103] as const },
        { at: 'ready> ', type: 'exit 3\n' },
      ]
      const { code, screen } = await ana.fleetOnTerminal(['ssh', 'h1', '--', 'sh'], typing)
      expect(screen).toMatch(/\b24 80\r+\n/)
      expect(screen).toMatch(/\b31 103\r+\n/)
      expect(code).toBe(3)
    })

    test('do not include commands that the broker cannot run, and errors are reported by the command', async () => {
      for (const [code, ...args] of [
        [2, 'ps', '--nonsense'],
        [3, '-m', 'nobody', 'ps'],
        [0, 'ls'],
        [0, 'logs', '-f', '-n', '1', 'talker'],
        [1, 'exec', 'nobody', 'true'],
        [0, 'exec', '-d', 'sleeper', 'true'],
        [0, '--all', 'exec', '--help'],
        [255, 'ssh', '--json', 'h1', 'true'],
      ] as const) {
        expect({ args, ...(await answersAlone(args)) }).toMatchObject({ args, code, alone: true })
      }
      const other = { FLEET_INVENTORY: join(ana.folder, 'no.yaml') }
      expect(await ana.fleet(['ps'], { env: other })).toMatchObject({ code: 4 })
    })
  })

  test('a terminal has its size, and Ctrl-C reaches the program', async () => {
    const line =
      "stty size; trap 'echo got it; exit 5' INT; echo ready; while :; do sleep 0.1; done"
    const { code, screen } = await ana.fleetOnTerminal(
      ['ssh', 'h1', line],
      [{ at: 'ready', type: '\u0003' }],
    )
    expect(screen).toContain('got it')
    expect(code).toBe(5)
  })

  test('a killed broker interrupts commands with a clear error, and the next command starts another', async () => {
    const { pid = 0 } = await status()
    const running = start('ssh', 'h1', 'echo ready; sleep 1000')
    const logs = start(
      'run',
      '--rm',
      '--name',
      'long',
      'bb:1',
      'sh',
      '-c',
      'echo ready; sleep 1000',
    )
    await Promise.all([once(running.stdout, 'data'), once(logs.stdout, 'data')])
    const said = text(running.stderr)
    const ended = Promise.all([once(running, 'close'), once(logs, 'close')])
    process.kill(pid, 'SIGKILL')
    const [[code], [dockerCode]] = await ended
    expect(code).toBe(255)
    expect(await said).toContain(
      "the connection to h1 was lost: fleet's background process (the broker) stopped",
    )
    expect(dockerCode).toBeGreaterThan(0)
    expect(await ana.fleet(['ssh', 'h1', 'hostname'])).toMatchObject({ code: 0, stdout: 'h1\n' })
    expect((await status()).pid).not.toBe(pid)
  })

  test('the broker can be disabled', async () => {
    await ana.fleet(['broker', 'stop'])
    const env = { FLEET_BROKER: 'off' }
    expect(await ana.fleet(['ssh', 'h1', 'hostname'], { env })).toMatchObject({ stdout: 'h1\n' })
    expect(await ana.fleet(['broker', 'status'], { env })).toMatchObject({
      stderr: 'the broker is not running\n',
    })
    expect((await status()).pid).toBe(undefined)
  })

  test('broker stop closes its connections', async () => {
    await ana.fleet(['ssh', 'h1', 'true'])
    const { pid = 0 } = await status()
    expect(await ana.fleet(['broker', 'stop'])).toMatchObject({
      code: 0,
      stderr: `stopped the broker (process ${pid})\n`,
    })
    await vi.waitFor(async () => expect(await logins()).toBe(0), 120_000)
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), 120_000)
  })

  test('a ProxyCommand runs once for all commands, and exits with the broker', async () => {
    const mark = randomUUID()
    const ran = join(ana.folder, 'ran')
    const command = `echo "$TUNNEL" >> ${ran}; exec ${netcatLine(hostOf(lab, 2), { mark })}`
    const proxy = `ProxyCommand sh -c ${shellQuote(command.replaceAll('%', '%%'))}`
    const before = await readFile(join(ana.home, '.ssh/config'), 'utf8').catch(() => '')
    await writeFile(
      join(ana.home, '.ssh/config'),
      `Host tunnel\n  User root\n  ${proxy}\n${before}`,
    )
    const env = { TUNNEL: 'through' }
    const adopt = ['adopt', 'tunnel', '--accept-new']
    expect(await ana.fleet(adopt, { env })).toMatchObject({ code: 0 })
    expect(await ana.inventory()).not.toContain(mark)
    await writeFile(ran, '')
    expect(await ana.fleet(['-m', 'tunnel', 'ps', '-q'], { env })).toMatchObject({ code: 0 })
    for (const args of [
      ['-m', 'tunnel', 'ps', '-q'],
      ['ssh', 'tunnel', 'hostname'],
    ]) {
      const inBroker = async () => !(await answersAlone(args)).alone
      await expect.poll(inBroker, { timeout: 60_000 }).toBe(true)
    }
    expect(await readFile(ran, 'utf8')).toBe('through\n')
    expect((await processesWith(mark)).length).toBe(1)
    await ana.fleet(['broker', 'stop'])
    await untilGone(mark)
  })
})
