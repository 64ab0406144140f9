import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type LiveTerminal, openTerminal } from '../../support/process/live-terminal.ts'
import { type TestUser, makeTestUser, program } from '../../support/test-user.ts'

const escape = '\u001B'

describe.skipIf(!labIsHere)('fleet top on a terminal', () => {
  let lab: Lab
  let ana: TestUser
  let h2: LabHost

  const fleet = async (...args: string[]): Promise<void> => {
    const answer = await ana.fleet(args)
    expect({ args, ...answer }).toMatchObject({ code: 0 })
  }
  const open = (
    args: readonly string[] = [],
    { env = {}, ...size }: { rows?: number; columns?: number; env?: Record<string, string> } = {},
  ): LiveTerminal =>
    openTerminal([program, 'top', ...args], {
      ...{ cwd: ana.folder, env: { ...ana.env, ...env }, rows: 24, columns: 140 },
      ...size,
    })

  beforeAll(async () => {
    lab = await startLab({ hosts: 2, engine: true, image: true })
    ana = await makeTestUser({ identity: lab.identity.file, broker: true })
    for (const { name, address } of lab.hosts) {
      const words = [
        'adopt',
        `root@${address}`,
        '--name',
        name,
        '--accept-new',
        '-l',
        `role=${name}`,
      ]
      await fleet(...words)
    }
    await fleet('set', 'h2', 'protected=true')
    h2 = lab.hosts[1] as LabHost
    await fleet('--all', 'run', '-d', '--name', 'web', 'bb:1', 'sleep', '3600')
    await fleet('-m', 'h1', 'run', '-d', '--name', 'talk', 'bb:1', 'sh', '-c', talk)
  })

  /** A container script that prints a line of JSON and a line of wide characters, and then nothing. */
  const talk = `echo '{"level":"info","msg":"hello there","user":7}'; echo '日本語 ok'; sleep 3600`

  afterAll(async () => {
    await ana?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })

  test('shows machines with their containers, events and images, and updates them', async () => {
    await using top = open()
    await top.until(/h1 +running .*%.*2\/2/)
    await top.until(/h2 +running .*%.*1\/1/)
    top.type('2')
    await top.until(/talk +h1 +running/)
    await top.until(/web +h1 +running .*\d%/) // its usage has been read
    await fleet('-m', 'h1', 'run', '-d', '--name', 'new', 'bb:1', 'sleep', '3600')
    await top.until(/new +h1 +running/)
    top.type('6')
    await top.until(/h1 +container +start +new/)
    top.type('3')
    await top.until(/bb:1 +h2 +used/)
    top.type('\r')
    await top.until(/Layers/)
    top.type(escape)
    await top.until(/IMAGE +MACHINE/)
    top.type('q')
    expect(await top.ended).toBe(0)
    expect(top.screen()).toBe('normal')
  })

  test('filters, and removes after a confirmation, which is the name for a protected machine', async () => {
    await using top = open()
    await top.until(/h2 +running .*1\/1/)
    top.type('2/role=h2 web\r')
    await top.until((lines) => lines.filter((line) => / web +h\d /.test(line)).length === 1)
    top.type('x')
    await top.until(/container web on h2/)
    top.type('k')
    await top.until(/h2 is protected. Kill container web on h2\? Type h2 to confirm:/)
    top.type('h1\r')
    await top.until(/Nothing was changed: h2 is protected/)
    top.type('xkh2\r')
    await top.until(/web +h2 +exited/)
    top.type('xs')
    await top.until(/web +h2 +running/)
    top.type(escape)
    await top.until(/new +h1 +running/)
    top.type('/new\r')
    top.type('xk')
    await top.until(/Kill container new on h1\? \[y\/N\]/)
    top.type('y')
    await top.until(/new +h1 +exited/)
    top.type('xdy')
    await top.until(/No containers match new/)
    top.type('q')
    expect(await top.ended).toBe(0)
  })

  test('opens shells, runs commands for marked containers, and returns', async () => {
    await using top = open()
    await top.until(/h1 +running .*\d\/\d/)
    top.type('e')
    await top.until(() => top.screen() === 'normal')
    top.type('echo on-$((40+2)); exit\n')
    await top.until(/h1 +running/)
    expect(top.written()).toContain('on-42')
    top.type('2/web\r')
    await top.until(/web +h2 +running/)
    top.type('  ')
    await top.until(/2 marked/)
    top.type(':container inspect --format {{.Name}}\r')
    await top.until(/\$ fleet container inspect .* h1\/web h2\/web/)
    await top.until(/Press Enter/)
    top.type('\u0003') // interrupts only the command
    top.type('\r')
    await top.until(/2 marked/)
    top.type('q')
    expect(await top.ended).toBe(0)
  })

  test('follows merged logs with formatted JSON and wide characters, and reacts to keys in a flood', async () => {
    await using top = open()
    await top.until(/h1 +running .*\d\/\d/)
    top.type('2/talk\r')
    await top.until(/talk +h1 +running/)
    top.type('l')
    await top.until(/INFO hello there user=7/)
    await top.until(/日本語 ok/)
    top.type('f')
    await top.until(/\{"level":"info"/)
    top.type('/ok\r')
    await top.until(/1 matching ok/)
    top.type('q')
    await top.until(/talk +h1/)
    await fleet('-m', 'h1', 'run', '-d', '--name', 'flood', 'bb:1', 'yes', '{"msg":"all work"}')
    top.type(`${escape}/flood\r`)
    await top.until(/flood +h1 +running/)
    top.type('l')
    await top.until((lines) => Number(/(\d+) lines/.exec(lines.join())?.[1]) > 100_000, 120)
    top.type('f')
    await top.until(/as written/)
    top.type('q')
    await top.until(/flood +h1/)
    await fleet('-m', 'h1', 'container', 'rm', '-f', 'flood')
    await top.until(/No containers match flood/)
    top.type('q')
    expect(await top.ended).toBe(0)
  })

  test('reconnects without the broker when a host is back', async () => {
    await using top = open([], { env: { FLEET_BROKER: 'off' } })
    await top.until(/h2 +running .*1\/1/)
    await h2.killSshd()
    await top.until(/h2 +unreachable/)
    await h2.startSshd()
    await top.until(/h2 +running .*1\/1/)
    top.type('2/role=h2\r')
    await top.until(/web +h2 +running .*\d%/) // its usage is being read again
    top.type('q')
    expect(await top.ended).toBe(0)
  })

  test('dims an unresponsive host, with the age of its data, until it is back', async () => {
    await using top = open()
    const row = (): number => top.lines().findIndex((line) => /h2 /.test(line))
    await top.until(/h2 +running .*1\/1/)
    await h2.drop(true)
    await top.until(/h2 +unreachable \d+s/)
    expect(top.isStyled(row(), 2)).toBe(true)
    expect(top.lines()[row()]).toMatch(/1\/1/)
    await h2.drop(false)
    await top.until(/h2 +running .*1\/1/)
    top.type('q')
    expect(await top.ended).toBe(0)
  })
})
