import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type LiveTerminal, openTerminal } from '../../support/process/live-terminal.ts'
import { type Person, makePerson, program } from '../../support/test-user.ts'

const escape = '\u001B'

describe.skipIf(!labIsHere)('fleet top on a terminal', () => {
  let lab: Lab
  let ana: Person

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
    ana = await makePerson({ identity: lab.identity.file, broker: true })
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
    await fleet('--all', 'run', '-d', '--name', 'web', 'bb:1', 'sleep', '3600')
    await fleet('-m', 'h1', 'run', '-d', '--name', 'talk', 'bb:1', 'sh', '-c', talk)
  })

  /** A container that prints a line in JSON, wide characters, and then is quiet. */
  const talk = `echo '{"level":"info","msg":"hello there","user":7}'; echo '日本語 ok'; sleep 3600`

  afterAll(async () => {
    await ana?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })

  test('shows machines, their containers, events and images, and what changes', async () => {
    await using top = open()
    await top.until(/h1 +running .*%.*2\/2/)
    await top.until(/h2 +running .*%.*1\/1/)
    top.type('2')
    await top.until(/talk +h1 +running/)
    await top.until(/web +h1 +running .*\d%/) // its usage is read
    await fleet('-m', 'h1', 'run', '-d', '--name', 'new', 'bb:1', 'sleep', '3600')
    await top.until(/new +h1 +running/)
    top.type('5')
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
})
