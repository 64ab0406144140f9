import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { modes } from '../../support/docker/docker-client.ts'
import { type Lab, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'

let lab: Lab
let ana: TestUser
beforeAll(async () => {
  if (!labIsHere) return
  lab = await startLab({ hosts: 1, engine: true, image: true })
  ana = await makeTestUser({ identity: lab.identity.file })
  const address = lab.hosts[0]?.address
  const adopted = await ana.fleet(['adopt', `root@${address}`, '--name', 'h1', '--accept-new'])
  expect(adopted).toMatchObject({ code: 0 })
  expect(await ana.fleet(['use', 'h1'])).toMatchObject({ code: 0 })
})
afterAll(async () => {
  await ana?.[Symbol.asyncDispose]()
  await lab?.[Symbol.asyncDispose]()
})

/** A shell prompt that does not appear in the echo of a command line. */
const prompt = 'PS1=$(echo ready)"> "\n'

describe.skipIf(!labIsHere).each([
  ...modes.map(({ mode, here }) => ({
    what: `docker run -it ${mode}`,
    here,
    args: ['run', '-it', '--rm', 'bb:1', 'sh'],
  })),
  { what: 'fleet ssh with a command', here: false, args: ['ssh', 'h1', '--', 'sh'] },
  { what: 'fleet ssh with a login shell', here: false, args: ['ssh', 'h1'] },
])('a terminal: $what', ({ here, args }) => {
  const env = (): Record<string, string> => (here ? {} : { PATH: ana.folder })

  test('has the size of the local one, is resized with it, passes Ctrl-C on, and returns the exit code', async () => {
    const typing = [
      { at: '# ', type: prompt },
      { at: 'ready> ', type: 'stty size\n' },
      { at: 'ready> ', type: 'stty size\n', size: [31, 103] as const },
      { at: 'ready> ', type: 'sleep 100; echo ended $?\n' },
      { at: 'ended $?', type: '\u0003' },
      { at: 'ready> ', type: 'echo code $?\n' },
      { at: 'ready> ', type: 'echo "$TERM"; exit 3\n' },
    ]
    const { code, screen } = await ana.fleetOnTerminal(args, typing, { env: env() })
    // libuv's raw mode turns \n into \r\n once more
    expect(screen).toMatch(/\b24 80\r+\n/)
    expect(screen).toMatch(/\b31 103\r+\n/)
    expect(screen).toMatch(/code 130\r+\n/)
    expect(screen).toContain('xterm')
    expect(code).toBe(3)
  })
})
