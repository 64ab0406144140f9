import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'
import { hostOf } from '../../support/ssh/ssh-target.ts'

const fleet = (line: readonly string[]) => [program, ...line]
const talk = 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.1; done'
const shell = ['sh', '-c', talk]
const silent = ['sh', '-c', 'echo once; sleep 600']
/** A command whose output exceeds all buffers between it and the client. */
const much = ['sh', '-c', 'cat /dev/zero']

/**
 * Returns the arguments of the commands that are running when the connection is cut. Each of the four ways to run them
 * (docker, and fleet with docker, without docker, and without the broker) has separate containers, since an engine
 * handles only one copy from or to a container at a time.
 */
const wordsOf = (way: number) => [
  ['exec', 'app', ...shell],
  ['exec', '-i', 'app', ...shell],
  ['exec', '-t', 'app', ...shell],
  ['exec', 'app', ...silent],
  ['exec', '-t', 'app', ...silent],
  ['exec', 'app', ...much],
  ['container', 'attach', '--no-stdin', 'app'],
  ['container', 'attach', '--no-stdin', 'terminal'],
  ['run', '--rm', 'bb:1', ...shell],
  ['run', '--rm', '-t', 'bb:1', ...silent],
  ['logs', '-f', 'app'],
  ['logs', '-f', 'terminal'],
  ['container', 'cp', `copied-${way}:/big`, '-'],
  ['container', 'export', `exported-${way}`],
  ['image', 'save', 'big'],
]
/** Arguments of commands that only fleet has. */
const own = [
  ['--all', 'logs', '-f', 'app'],
  ['events', '--since', '1h'],
  ['ssh', 'h1', talk],
  ['-m', 'h1', 'docker', 'exec', 'app', ...shell],
]
/** A command that prints nothing before it exits. */
const mute = ['container', 'wait', 'app']

describe.skipIf(!labIsHere)('a running command', () => {
  let lab: Lab
  let host: LabHost
  let ana: TestUser
  let socket: string

  beforeAll(async () => {
    lab = await startLab({ hosts: 1, engine: true, image: true })
    host = hostOf(lab)
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    const adopt = ['adopt', `root@${host.address}`, '--name', 'h1', '--accept-new']
    expect(await ana.fleet(adopt)).toMatchObject({ code: 0 })
    expect(await ana.fleet(['use', 'h1'])).toMatchObject({ code: 0 })
    const made = await host.exec(
      `docker run -d --name app bb:1 sh -c '${talk}' && docker run -dt --name terminal bb:1 sh -c '${talk}'
      docker run --name big bb:1 dd if=/dev/urandom of=/big bs=1M count=100 && docker commit big big 
      for way in 0 1 2 3; do docker create --name copied-$way big; docker create --name exported-$way big; done`,
    )
    expect(made).toMatchObject({ code: 0 })
    const { stdout } = await ana.fleet(['context', 'sync', '--json'])
    socket = (JSON.parse(stdout) as { host: string }[])[0]?.host ?? ''
  })
  afterAll(async () => {
    await ana[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
  })

  async function connections(): Promise<number> {
    const { stdout } = await ana.fleet(['broker', 'status', '--json'])
    const { hosts } = JSON.parse(stdout) as { hosts: { uses: number }[] }
    return hosts.reduce((sum, { uses }) => sum + uses, 0)
  }

  /** Starts a command. After the first chunk, its output is not read until `ended` is called. */
  function begin(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const child = spawn(argv[0] ?? '', argv.slice(1), {
      env: { ...ana.env, ...env },
      cwd: ana.folder,
    })
    const said: Buffer[] = []
    child.stderr.on('data', (chunk: Buffer) => said.push(chunk))
    const closed = once(child, 'close')
    const begun = once(child.stdout, 'data').then(() => child.stdout.pause())
    return {
      line: argv.join(' '),
      begun: Promise.race([begun, closed]),
      async ended() {
        child.stdout.resume()
        const [code] = (await closed) as [number]
        return { code, said: Buffer.concat(said).toString() }
      },
    }
  }

  const cuts = [
    {
      when: 'its SSH session is killed',
      cut: () => host.exec("pkill -KILL -f '^sshd: root@'"),
      restore: async () => {},
    },
    {
      when: 'packets are dropped',
      cut: () => host.drop(true),
      restore: () => host.drop(false),
    },
  ]
  test.each(cuts)('fails and names the machine when $when', async ({ cut, restore }) => {
    const starts = [
      ...wordsOf(0).map((line) => () => begin(['docker', '-H', socket, ...line])),
      ...[...wordsOf(1), ...own].map((line) => () => begin(fleet(line))),
      ...wordsOf(2).map((line) => () => begin(fleet(line), { PATH: ana.nodeOnly })),
      ...wordsOf(3).map((line) => () => begin(fleet(line), { FLEET_BROKER: 'off' })),
    ]
    const running = starts.map((start) => start())
    await Promise.all(running.map(({ begun }) => begun))
    const before = await connections()
    const waiting = [begin(['docker', '-H', socket, ...mute]), begin(fleet(mute))]
    const used = 1 + 2 // one connection for fleet itself, and one for each docker
    await expect.poll(connections).toBeGreaterThanOrEqual(before + used)
    await cut()
    try {
      for (const command of [...running, ...waiting]) {
        const { line } = command
        const { code, said } = await command.ended()
        const isFleet = line.startsWith(program)
        expect({ line, code, said }).toEqual({
          line,
          code: expect.toSatisfy((code: number) =>
            (isFleet ? /^(?:1|5|125|255)$/ : /^1(?:25)?$/).test(String(code)),
          ),
          said: expect.stringMatching(
            isFleet ? /h1: (?:the connection to|cannot reach) / : /unexpected EOF|h1/,
          ),
        })
      }
    } finally {
      await restore()
    }
  })
})
