import { expect, test } from 'vitest'
import type { ServiceRow, TaskRow } from '../../../../src/operations/services/list-services.ts'
import { withTargets } from '../../../../src/commands/top/command-lines.ts'
import { demandOf } from '../../../../src/commands/top/demand.ts'
import { applyUpdate } from '../../../../src/commands/top/model/apply-update.ts'
import type { Model } from '../../../../src/commands/top/model/model.ts'
import { fleetModel, now, press, screenOf, typing } from './fleet-model.ts'

const service = (name: string, more: Partial<ServiceRow> = {}): ServiceRow => ({
  ...{ swarm: 'prod', service: name, id: `${name}-id`, mode: 'replicated' },
  ...{ running: 2, desired: 2, image: `shop/${name}:1@sha256:${'a'.repeat(64)}`, ports: [] },
  ...{ updatedAt: new Date(now - 120_000).toISOString(), ...more },
})

const task = (name: string, more: Partial<TaskRow> = {}): TaskRow => ({
  ...{ swarm: 'prod', service: 'web', task: name, id: name, machine: 'web-1' },
  ...{ state: 'running', desired: 'running', image: 'shop/web:1' },
  ...{ since: new Date(now - 60_000).toISOString(), ...more },
})

const withServices = (
  model: Model,
  services: readonly ServiceRow[],
  tasks?: { readonly service: string; readonly rows: readonly TaskRow[] },
  swarm = 'prod',
): Model => applyUpdate(model, { kind: 'services', swarm, services, tasks, at: now })

/** Returns a model that shows the services of two swarms: prod, and live, whose machines are protected. */
function servicesModel(size: Parameters<typeof fleetModel>[0] = { columns: 140 }): Model {
  const prod = withServices(fleetModel(size), [
    service('api', { running: 1, stack: 'shop' }),
    service('web', { update: 'rollback_started', ports: ['8080->80/tcp'] }),
  ])
  return press(withServices(prod, [service('live-db')], undefined, 'live'), '5').model
}

test('shows the services of all swarms with their tasks, ports and updates', () => {
  const screen = screenOf(servicesModel())
  expect(screen).toMatch(/> api +prod +degraded +1\/2 +replicated .*shop +shop\/api:1\n/)
  expect(screen).toMatch(/web +prod +rolling-back +2\/2 .*rollback started +8080->80\/tcp/)
  expect(screen).toMatch(/live-db +live +running +2\/2/)
  expect(screen).not.toContain('sha256')
  const narrow = screenOf(servicesModel({ columns: 60 }))
  expect(narrow).toMatch(/api +prod +degraded +1\/2/)
  expect(narrow.split('\n').every((line) => line.length <= 60)).toBe(true)
})

test('filters by state, and groups rows by swarm and by stack', () => {
  const { model } = press(servicesModel(), '/', ...typing('state=degraded'), 'enter')
  expect(screenOf(model)).toMatch(/api [^]*filter: state=degraded \(1 of 3\)/)
  expect(screenOf(press(servicesModel(), 'tab').model)).toMatch(/prod \(2\)[^]*live \(1\)/)
  expect(screenOf(press(servicesModel(), 'tab', 'tab').model)).toMatch(
    /\(no stack\) \(2\)[^]*shop \(1\)/,
  )
})

test('explains why the view is empty', () => {
  const { model } = press(fleetModel(), '5')
  expect(screenOf(model)).toContain('Reading …')
  const reason = 'no manager of swarm prod responded'
  const lost = applyUpdate(model, { kind: 'swarm-lost', swarm: 'prod', reason })
  expect(screenOf(lost)).toContain(reason)
  const none = press({ ...fleetModel(), swarms: new Map() }, '5').model
  expect(screenOf(none)).toContain('None of these machines belong to a swarm in the inventory.')
})

test('reads services, and the tasks of a service, only while they are shown', () => {
  expect(demandOf(fleetModel())).toMatchObject({ services: false, tasksOf: undefined })
  expect(demandOf(servicesModel())).toMatchObject({ services: true, tasksOf: undefined })
  const { model } = press(servicesModel(), 'down', 'enter')
  expect(demandOf(model).tasksOf).toEqual({ swarm: 'prod', service: 'web-id' })
})

test('shows tasks with their machines and errors in details, and why no manager responds', () => {
  const { model } = press(servicesModel({ columns: 100, rows: 24 }), 'down', 'enter')
  expect(screenOf(model)).toMatch(/Details: web\n[^]*Changed +2m ago[^]*Reading …/)
  const rows = [
    task('web.1'),
    task('web.2', { state: 'failed', desired: 'shutdown', error: 'task: non-zero exit (3)' }),
  ]
  const read = withServices(model, [service('web', { running: 1 })], { service: 'web-id', rows })
  expect(screenOf(read)).toMatch(
    /Tasks +1 of 2[^]*web\.1 +web-1 +running 1m\n web\.2 +web-1 +failed 1m +task: non-zero exit/,
  )
  const lost = applyUpdate(read, { kind: 'swarm-lost', swarm: 'prod', reason: 'timed out' })
  expect(screenOf(lost)).toMatch(/Reason +timed out/)
  expect(screenOf(withServices(lost, [service('web')]))).not.toContain('timed out')
})

test('follows the logs of a service under the names of its tasks', () => {
  const { model, effects } = press(servicesModel(), 'down', 'l')
  expect(effects).toMatchObject([
    { kind: 'logs', targets: [{ kind: 'service', machine: 'prod', name: 'web' }] },
  ])
  expect(screenOf(model)).toContain('Logs of service web in swarm prod')
  const line = { stream: 'stdout', time: '2026-01-01T10:11:12.000000000Z' } as const
  const filled = applyUpdate(model, {
    kind: 'logs',
    entries: [
      { machine: 'web-1', container: 'web.1', line: 'one', ...line },
      { machine: 'web-2', container: 'web.2', line: 'two', ...line },
    ],
  })
  expect(screenOf(filled)).toMatch(/web-1\/web\.1 one\n.*web-2\/web\.2 two/)
})

test('opens a shell in a running task', () => {
  expect(press(servicesModel(), 'e').effects).toMatchObject([
    { lines: [['-m', 'prod', 'exec', '-it', 'api', 'sh', '-c', expect.any(String)]] },
  ])
})

test.each([
  ['r', 'Restart service api in swarm prod? [y/N]', 'restart'],
  ['b', 'Roll back service api in swarm prod? [y/N]', 'rollback'],
  ['d', 'Remove service api in swarm prod? [y/N]', 'rm'],
] as const)('asks for confirmation after the keys x %s', (key, question, change) => {
  const { model, effects } = press(servicesModel(), 'x', key)
  expect(effects).toEqual([])
  expect(screenOf(model)).toContain(question)
  expect(press(model, 'y').effects).toMatchObject([{ kind: 'change', change }])
})

test('asks for the number of replicas when scaling', () => {
  const { model } = press(servicesModel(), ' ', ' ', 'x', 's', ...typing('12'))
  expect(screenOf(model)).toContain('Number of replicas for 2 services in swarm prod: 12_')
  const asked = press(model, 'enter')
  expect(asked.effects).toEqual([])
  expect(screenOf(asked.model)).toContain('Scale 2 services in swarm prod to 12 replicas? [y/N]')
  expect(press(asked.model, 'y').effects).toMatchObject([
    { kind: 'change', change: { replicas: 12 }, targets: [{ name: 'api' }, { name: 'web' }] },
  ])
  const wrong = press(servicesModel(), 'x', 's', ...typing('-1'), 'enter')
  expect(wrong.effects).toEqual([])
  expect(wrong.model.message?.text).toBe(
    'Nothing was changed: "-1" is not a valid number of replicas.',
  )
  expect(press(model, 'escape').model.message?.text).toBe('Nothing was changed.')
})

test('asks for the name of a swarm with protected machines', () => {
  const { model } = press(servicesModel(), 'end', 'x', 'r')
  expect(screenOf(model)).toContain(
    'live has protected machines. Restart service live-db in swarm live? Type live to confirm:',
  )
  expect(press(model, ...typing('prod'), 'enter')).toMatchObject({
    effects: [],
    model: {
      message: {
        text: 'Nothing was changed: live has protected machines, and its name was not typed.',
      },
    },
  })
  expect(press(model, ...typing('live'), 'enter').effects).toMatchObject([{ change: 'restart' }])
})

test.each([
  [20, 60],
  [100, 300],
  [1, 1],
  [3, 10],
])('fills a window of exactly %i rows and %i columns', (rows, columns) => {
  for (const keys of [[], ['enter'], ['l'], ['x'], ['x', 's', '1'], ['x', 'r'], ['tab']]) {
    const { model } = press({ ...servicesModel(), rows, columns }, ...keys)
    expect(screenOf(model).split('\n')).toHaveLength(rows)
  }
})

test('offers no actions with --read-only', () => {
  const { model, effects } = press({ ...servicesModel(), isReadOnly: true }, 'x')
  expect(effects).toEqual([])
  expect(model.message?.text).toMatch(/--read-only/)
})

const web = { kind: 'service', machine: 'prod', id: 'web-id', name: 'web' } as const
const api = { ...web, name: 'api' }

test.each([
  ['service ps', [web, api], '-m prod service ps web api'],
  ['service logs -n 5', [web], '-m prod service logs -n 5 web'],
  ['service ps db', [web], '-m prod service ps db'],
  ['logs', [web], '-m prod logs web'],
] as const)('adds the selected services to :%s', (typed, targets, line) => {
  expect(withTargets(typed, targets).join(' ')).toBe(line)
})

test('refuses a command for services of two swarms', () => {
  expect(() => withTargets('service ps', [web, { ...api, machine: 'live' }])).toThrow(/2 swarms/)
})
