import { describe, expect, test } from 'vitest'
import type { HostFacts } from '../../../../src/operations/doctor/host-script.ts'
import { judgeMachine } from '../../../../src/operations/doctor/judge-machine.ts'
import type { Observation } from '../../../../src/operations/doctor/observation.ts'
import { newLoginReport } from '../../../../src/transport/ssh/login/login-errors.ts'
import type { LoginFailure } from '../../../../src/transport/ssh/try-login.ts'

const gib = 1 << 30
const room = (path: string, free: number, size = 100 * gib) => ({ path, size, free })

const facts: HostFacts = {
  ...{ clock: 1_000, user: 'ana', isRoot: false, sudo: 'works', groups: ['ana', 'docker'] },
  ...{ home: { path: '/home/ana', state: 'ok' }, keyFiles: new Map(), authorized: [] },
  ...{ cloudInit: { state: 'done', errors: [] }, compose: '2.40.3' },
  rooms: [room('/var/lib/docker', 50 * gib), room('/home/ana', 50 * gib), room('/', 50 * gib)],
  socket: {
    ...{ exists: true, direct: true, answers: 'yes' },
    rights: { owner: 'root', group: 'docker', mode: '660' },
  },
  docker: { cli: true, daemon: true, isRunning: true, service: 'active' },
}

/** Observation of a machine on which everything works. */
const good = {
  ...{ name: 'web-1', isLocal: false, hasEngine: true, socket: '/var/run/docker.sock' },
  ...{ hasStacks: false, composeHere: false },
  login: {
    ...{ address: 'web-1.example.com', port: 22, user: 'ana', addresses: ['203.0.113.5'] },
    ...{ byProgram: false, keys: newLoginReport(), accepted: 'SHA256:abc (id_ed25519)' },
    release: 'OpenSSH_9.2p1',
  },
  shell: { noise: '' },
  large: { sent: 'arrived', received: 'arrived' },
  sessions: { opened: 4, refused: 0 },
  ...{ facts, asked: { from: 1_000, to: 1_001 } },
  engine: { version: '27.5.1', api: '1.47' },
  broker: { state: 'none' },
} as const satisfies Observation

const findings = (observation: Observation) =>
  judgeMachine(observation).filter(({ state }) => state === 'fail' || state === 'warn')
const only = (observation: Observation) => {
  const found = findings(observation)
  expect(found.map(({ check }) => check)).toHaveLength(1)
  return found[0]
}
const withFacts = (more: Partial<HostFacts>): Observation => ({
  ...good,
  facts: { ...facts, ...more },
})
const down = { engine: { reason: 'other', message: 'it broke' } } as const
const {
  shell: _shell,
  large: _large,
  sessions: _sessions,
  facts: _facts,
  asked: _asked,
  ...closed
} = good
const { engine: _engine, ...beforeLogin } = closed
const failing = (failure: Partial<LoginFailure>): Observation => ({
  ...beforeLogin,
  login: {
    ...good.login,
    failure: { step: 'port', reason: 'other', message: 'it failed', printed: '', ...failure },
  },
})
/** Returns the observation for a login with an external program, such as the OpenSSH client. */
const byProgram = (seen: Observation): Observation => ({
  ...seen,
  ...(seen.login && { login: { ...seen.login, byProgram: true } }),
})

test('a machine on which everything works has no findings', () => {
  expect(findings(good)).toEqual([])
})

describe('a root cause is the only finding', () => {
  test.each([
    ['a name that does not resolve', 'name', failing({ step: 'name' })],
    [
      'a name that does not resolve in an external program',
      'name',
      byProgram(failing({ step: 'name' })),
    ],
    ['a missing route', 'route', failing({ step: 'route' })],
    ['a port that does not answer', 'port', failing({ step: 'port', reason: 'silent' })],
    ['an unreachable port', 'port', failing({ step: 'port', reason: 'no-route' })],
    ['a server that sends no banner', 'banner', failing({ step: 'banner', reason: 'silent' })],
    [
      'a connection that is closed before the banner',
      'banner',
      failing({ step: 'banner', reason: 'closed', printed: 'Exceeded MaxStartups' }),
    ],
    [
      'a key exchange that gets no answer',
      'banner',
      failing({ step: 'key-exchange', reason: 'silent' }),
    ],
    ['an unexpected host key', 'host-key', failing({ step: 'host-key' })],
    ['a refused login', 'login', failing({ step: 'login' })],
    [
      'a host that is not created yet',
      'host',
      { ...beforeLogin, record: { message: 'not created yet' } },
    ],
    [
      'a stopped host',
      'host',
      { ...failing({ reason: 'silent' }), provider: { state: 'stopped' } },
    ],
    [
      'a port that a firewall blocks',
      'port',
      { ...failing({ reason: 'silent' }), firewall: { message: 'its firewall' } },
    ],
    [
      'a shell that hangs',
      'shell',
      { ...beforeLogin, shell: { noise: '', problem: { message: 'it hangs' } } },
    ],
    [
      'a loss of large packets',
      'mtu',
      { ...beforeLogin, shell: good.shell, large: { sent: 'lost', received: 'unknown' } },
    ],
  ] satisfies [string, string, Observation][])(
    '%s is reported only by the check %s',
    (_, check, seen) => {
      expect(only(seen)).toMatchObject({ check, state: 'fail', fix: expect.stringMatching(/./) })
    },
  )

  test.each([
    [
      'a full disk explains an engine that is down',
      'disk',
      { rooms: [room('/var/lib/docker', 0)] },
    ],
    [
      'a full disk explains a full home directory',
      'disk',
      { rooms: [room('/var/lib/docker', 0), room('/home/ana', 0)] },
    ],
    [
      'a failed cloud-init explains a missing engine',
      'cloud-init',
      { cloudInit: { state: 'done', errors: ['no docker'] } },
    ],
  ] satisfies [string, string, Partial<HostFacts>][])('%s', (_, check, more) => {
    const socket = { exists: false, direct: false }
    expect(only({ ...withFacts({ ...more, socket }), ...down })).toMatchObject({
      check,
      state: 'fail',
    })
  })

  test('missing permissions on the socket, rather than the engine behind it', () => {
    const rights = { owner: 'root', group: 'root', mode: '600' }
    const socket = { exists: true, direct: false, rights }
    expect(only({ ...withFacts({ socket, sudo: 'none' }), ...down })).toMatchObject({
      ...{ check: 'socket', message: expect.stringContaining('(root:root, mode 600)') },
      fix: 'run as root on the host: chgrp docker /var/run/docker.sock && chmod 660 /var/run/docker.sock',
    })
  })

  test('sudo, for a user who needs it to access the socket', () => {
    const socket = { exists: true, direct: false }
    const seen = withFacts({ socket, sudo: 'password', groups: ['ana'] })
    expect(only({ ...seen, ...down })).toMatchObject({
      ...{ check: 'sudo', message: expect.stringContaining('sudo asks for a password') },
    })
    expect(findings(withFacts({ sudo: 'password' }))).toEqual([])
  })

  test('the step of the host script that hangs', () => {
    expect(
      only({ ...good, facts: { ...facts, hungAt: 'the root file system', rooms: [] } }),
    ).toMatchObject({
      ...{ check: 'disk', message: expect.stringContaining('timed out') },
    })
  })
})

const engine = (more: Partial<NonNullable<HostFacts['socket']>>, daemon = true) => ({
  ...withFacts({
    socket: { exists: true, direct: true, ...more },
    docker: { cli: daemon, daemon, isRunning: false, service: '' },
  }),
  ...down,
})

describe('the engine', () => {
  test.each([
    [
      'is not installed',
      engine({ exists: false }, false),
      /not installed/,
      'fleet provision web-1',
    ],
    ['is not running', engine({ exists: false }), /not running/, /service docker start$/],
    ['left its socket behind', engine({ answers: 'refused' }), /not running/, /docker start$/],
    ['hangs', engine({ answers: 'hung' }), /is hung/, /docker restart$/],
  ] as const)('is reported with a fix if it %s', (_, seen, says, fix) => {
    expect(only(seen)).toMatchObject({
      check: 'engine',
      message: expect.stringMatching(says),
      fix: expect.stringMatching(fix),
    })
  })

  test('that is too new requires a newer fleet', () => {
    const answer = {
      reason: 'unsupported',
      message: 'it requires API 1.99',
      hint: 'upgrade fleet',
    } as const
    expect(only({ ...good, engine: answer })).toMatchObject({ fix: 'upgrade fleet' })
  })
})

describe('the clock', () => {
  test.each([
    [1_000, undefined],
    [1_025, undefined],
    [1_060, 'warn'],
    [1_000 - 3_600, 'fail'],
    [1_000 + 3_600, 'fail'],
  ])('at %d instead of 1000 is rated %s', (clock, state) => {
    expect(findings(withFacts({ clock })).map((one) => one.state)).toEqual(state ? [state] : [])
  })
})

describe('the disk', () => {
  test.each([
    [room('/', 50 * gib), undefined],
    [room('/', 3 * gib), 'warn'],
    [room('/', gib / 2), 'fail'],
    [room('/', 40 * gib, 2_000 * gib), undefined],
    [room('/', gib / 2, gib), undefined],
    [{ ...room('/', 50 * gib), inodes: { all: 6_000_000, free: 400 } }, 'fail'],
  ])('with %j is rated %s', (one, state) => {
    expect(findings(withFacts({ rooms: [one] })).map((found) => found.state)).toEqual(
      state ? [state] : [],
    )
  })
})

describe('a login that fails while the broker is still connected', () => {
  const keys = { ...newLoginReport(), offered: ['SHA256:abc (id_ed25519)'] }
  const rejected = (more: Partial<HostFacts>): Observation => ({
    ...beforeLogin,
    login: {
      ...{ ...good.login, keys },
      failure: { step: 'login', reason: 'other', message: 'cannot log in to x: no', printed: '' },
    },
    broker: { state: 'connected', answers: true, facts: { ...facts, ...more } },
  })
  const rights = { owner: 'ana', group: 'ana', mode: '700' }
  test.each([
    [
      { keyFiles: new Map([['/home/ana/.ssh', { ...rights, mode: '775' }]]) },
      /other users can write to \/home\/ana\/\.ssh \(mode 775\)/,
    ],
    [
      { keyFiles: new Map([['/home/ana', { ...rights, owner: 'eve' }]]) },
      /\/home\/ana belongs to eve/,
    ],
    [{ accountExpires: 'Jan 02, 2020' }, /expired on Jan 02, 2020/],
    [
      {
        authorized: ['SHA256:other'],
        keyFiles: new Map([['/home/ana/.ssh/authorized_keys', rights]]),
      },
      /contains none of the offered keys: SHA256:abc/,
    ],
    [{ authorized: [] }, /^no$/],
    [{ authorized: ['SHA256:abc'], keyFiles: new Map([['/home/ana', rights]]) }, /^no$/],
  ] satisfies [Partial<HostFacts>, RegExp][])('is explained by the facts %o', (more, says) => {
    expect(only(rejected(more))).toMatchObject({
      ...{ check: 'login', message: expect.stringMatching(says) },
    })
  })
})

test('a missing authorized key is fixed by adding an operator to the inventory', () => {
  const keys = { ...newLoginReport(), offered: ['SHA256:abc (id_ed25519)'] }
  const login = {
    ...{ ...good.login, keys },
    failure: { step: 'login', reason: 'other', message: 'no', printed: '' },
  } as const
  const keyFiles = new Map([
    ['/home/ana/.ssh/authorized_keys', { owner: 'ana', group: 'ana', mode: '600' }],
  ])
  const broker = { state: 'connected', answers: true, facts: { ...facts, keyFiles } } as const
  expect(only({ ...beforeLogin, login, broker })).toMatchObject({
    fix: expect.stringContaining(
      'fleet operator add NAME --key FILE and then fleet apply --on web-1',
    ) as string,
  })
})

test('values reported by a host are quoted in suggested commands', () => {
  const home = { path: '/home/$(rm -rf ~); x', state: 'unwritable' } as const
  expect(only(withFacts({ home, user: 'ana; reboot' }))).toMatchObject({
    fix: String.raw`fleet ssh web-1 -- sudo chown ''\''ana; reboot'\''' ''\''/home/$(rm -rf ~); x'\'''`,
  })
})

test('sessions that the server did not open in time do not count as refused', () => {
  expect(findings({ ...good, sessions: { opened: 1, refused: 0 } })).toEqual([])
  expect(only({ ...good, sessions: { opened: 1, refused: 3 } })).toMatchObject({
    check: 'sessions',
  })
})

test('a broker connection that hangs is reported, with the command that stops it', () => {
  const seen = { ...good, broker: { state: 'connected', answers: false } as const }
  expect(only(seen)).toMatchObject({ check: 'broker', fix: 'fleet broker stop' })
})
