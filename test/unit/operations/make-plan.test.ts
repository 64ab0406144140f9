import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import * as z from 'zod'
import type { Driver } from '../../../src/drivers/driver.ts'
import type { MachineEntry, ProfileEntry, HostStatus } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { applyTo, orderChanges } from '../../../src/operations/plan/apply-plan.ts'
import { checkPlanned, narrowPlan, parsePlan } from '../../../src/operations/plan/change-plan.ts'
import type { Context } from '../../../src/operations/context.ts'
import { makePlan } from '../../../src/operations/plan/make-plan.ts'
import { parseSettings, setMachine } from '../../../src/operations/inventory/set-machine.ts'
import { approvedChanges } from '../../../src/operations/plan/destructive-changes.ts'
import { refreshRecords } from '../../../src/operations/plan/refresh-records.ts'
import { createClock } from '../../../src/operations/clock.ts'
import type { RemovedHost } from '../../../src/state/home/removals.ts'
import { openMemoryInventory } from '../../support/inventory/memory-inventory.ts'
import { tokenOf } from '../../support/token-of.ts'

const host = (name: string): NonNullable<MachineEntry['host']> => ({
  phase: 'ready',
  token: tokenOf(name),
  address: '192.0.2.1',
})

/** Returns the status of a host by its index: the first has moved, the second is gone, and every tenth is stopped. */
const statusAt = (index: number): HostStatus => {
  if (index === 0) return { state: 'running', address: '192.0.2.9' }
  if (index === 1) return { state: 'absent' }
  return { state: index % 10 === 9 ? 'stopped' : 'running' }
}

/** Returns a driver that appends the number of hosts of each `observe` call to `calls`. */
function providerOf(calls: number[]): Driver {
  return {
    observe: async (hosts) => {
      calls.push(hosts.size)
      return new Map(Array.from(hosts, ([name], index) => [name, statusAt(index)]))
    },
    lifecycle: {
      plan: () => Promise.reject(new Error('a plan makes nothing')),
      remove: () => Promise.reject(new Error('a plan removes nothing')),
      list: async () => [
        { token: 'lost', machine: 'lost-1', record: { phase: 'ready' }, parts: ['instance i-1'] },
      ],
    },
    power: {} as NonNullable<Driver['power']>,
  }
}

const sizedOptions = z.strictObject({
  size: z.string().min(1).default('small'),
  place: z.string().default('here'),
})

const allRun: (hosts: ReadonlyMap<MachineName, unknown>) => Map<MachineName, HostStatus> = (
  hosts,
) =>
  new Map([...hosts.keys()].map((name) => [name, { state: 'running', options: { size: 'small' } }]))

/**
 * Part of a driver that stops the host to change the option `size`, and needs a new host to change the option `place`.
 */
const sizes: Pick<Driver, 'update'> = {
  update: {
    disks: [],
    compare: async ({ resources = {} }, wanted, { options = {} }) =>
      (['size', 'place'] as const).flatMap((option) => {
        const [from = '', to] = [options[option] ?? resources[option], String(wanted[option])]
        const how = option === 'size' ? 'stop' : 'replace'
        return from === to ? [] : [{ option, from, to, how }]
      }),
    change: () => Promise.reject(new Error('a plan changes nothing')),
  },
}

function contextOf(
  entries: Record<string, MachineEntry>,
  calls: number[] = [],
  profiles: Record<string, ProfileEntry> = {},
): Context {
  const store = openMemoryInventory(entries, { profiles })
  const drivers: Record<string, Driver> = {
    cloud: providerOf(calls),
    sized: { ...providerOf(calls), ...sizes, observe: async (hosts) => allRun(hosts) },
    ssh: { observe: async () => new Map() },
  }
  const context = {
    signal: AbortSignal.any([]),
    with: (change: object) => ({ ...context, ...change }) as unknown as Context,
    clock: createClock(),
    inventory: async () => store,
    removals: () => ({
      hasStarted: async ({ token }: RemovedHost) => token !== tokenOf('elsewhere'),
    }),
    loadDriver: async (name: string) => drivers[name],
    driver: async (name: string) => ({ name, options: sizedOptions }),
  } as unknown as Context
  return context
}

const options = { skipHosts: true, timeoutMs: 10_000, progress: () => {} }

test('a thousand machines are planned with a single request to each provider', async () => {
  const calls: number[] = []
  const names = Array.from({ length: 1000 }, (_, index) => `web-${index}`)
  const context = contextOf(
    Object.fromEntries(names.map((name) => [name, { driver: 'cloud', host: host(name) }])),
    calls,
  )
  const plan = await makePlan(context, options)
  expect(calls).toEqual([1000])
  expect(plan.changes).toHaveLength(100)
  expect(new Set(plan.changes.map(({ action }) => action))).toEqual(new Set(['start']))
  expect(plan.drift).toEqual([
    { machine: 'web-0', field: 'address', expected: '192.0.2.1', actual: '192.0.2.9' },
  ])
  expect(plan.issues.map(({ machine }) => machine)).toEqual(['web-1', 'lost-1'])
})

test('a plan continues what was interrupted, and removes nothing that is protected', async () => {
  const context = contextOf({
    partial: { driver: 'cloud', host: { ...host('a'), phase: 'creating' } },
    fresh: { driver: 'cloud' },
    taken: { driver: 'ssh', via: 'gone', options: { address: 'x' } },
    gone: { driver: 'cloud', host: { ...host('b'), phase: 'removing' } },
    kept: { driver: 'cloud', protected: true, host: { ...host('c'), phase: 'removing' } },
  })
  const plan = await makePlan(context, options)
  expect(plan.changes.map(({ machine, action }) => [machine, action])).toEqual([
    ['partial', 'create'],
    ['fresh', 'create'],
    ['taken', 'adopt'],
    ['gone', 'remove'],
  ])
  expect(plan.issues[0]).toMatchObject({
    machine: 'kept',
    hint: 'to finish removing the host: fleet rm kept',
  })
  const inventory = await (await context.inventory()).read()
  const ordered = orderChanges(inventory, plan.changes).map(({ name }) => name)
  expect(ordered.indexOf('gone' as MachineName)).toBeLessThan(
    ordered.indexOf('taken' as MachineName),
  )
})

test('machines counted by a profile are created, and surplus ones are removed only with confirmation', async () => {
  const web = { extends: 'web' }
  const context = contextOf(
    {
      'web-1': { ...web, host: host('a') },
      'web-2': web,
      'web-4': { ...web, host: host('b') },
      'web-5': { ...web, protected: true, host: host('c') },
      'web-6': { ...web, host: { ...host('d'), phase: 'removing' } },
      'web-7': { driver: 'cloud' },
    },
    [],
    { web: { driver: 'cloud', count: 3 } },
  )
  const plan = await makePlan(context, options)
  const why = 'profile web sets "count: 3"'
  expect(plan.changes).toEqual([
    { machine: 'web-2', action: 'create', why: 'the host does not exist yet' },
    { machine: 'web-3', action: 'create', why },
    { machine: 'web-4', action: 'remove', why, destructive: true },
    { machine: 'web-6', action: 'remove', why: 'host removal was interrupted' },
    { machine: 'web-7', action: 'create', why: 'the host does not exist yet' },
  ])
  expect(plan.issues[0]).toMatchObject({ machine: 'web-5' })
  const store = await context.inventory()
  await store.updateProfile('web', (profile) => profile && { ...profile, count: 4 })
  const changed = await store.read()
  expect(() => checkPlanned(plan, changed)).toThrow('the inventory has changed')
})

test('a changed address in the entry of an adopted host is reported', async () => {
  const options = { address: '192.0.2.7' }
  const context = contextOf({ a: { driver: 'ssh', options, host: host('a') } })
  const looking = { skipHosts: true, timeoutMs: 10_000, progress: () => {} }
  const { issues } = await makePlan(context, looking)
  expect(issues[0]?.why).toBe(
    'the entry sets the address 192.0.2.7, but the address under "host:" is 192.0.2.1',
  )
})

test('a plan is valid only for the inventory that it was made from', async () => {
  const context = contextOf({ a: { driver: 'cloud' } })
  const store = await context.inventory()
  const plan = parsePlan(JSON.stringify(await makePlan(context, options)), 'x')
  checkPlanned(plan, await store.read())
  await store.update('a' as MachineName, () => ({ driver: 'cloud', protected: true }))
  const changed = await store.read()
  expect(() => checkPlanned(plan, changed)).toThrow('the inventory has changed')
})

test.each(['', '{', 'null', '[]', '{"version":2}', '{"version":1}'])(
  '%j is not a valid plan',
  (text) => {
    expect(() => parsePlan(text, 'x')).toThrow('x is not a valid plan')
  },
)

test('a refresh keeps a record that was changed since the plan was made', async () => {
  const context = contextOf({ a: { driver: 'ssh', host: { phase: 'ready', engine: '2' } } })
  const written = await refreshRecords(context, [
    { machine: 'a', field: 'engine', expected: '1', actual: '3' },
    { machine: 'a', field: 'os', actual: 'Debian' },
  ])
  expect(written.map(({ field }) => field)).toEqual(['os'])
  const { machines } = await (await context.inventory()).read()
  expect(machines.get('a' as MachineName)?.host).toMatchObject({ engine: '2', os: 'Debian' })
})

const sized = (
  options: Record<string, unknown>,
  rest: Partial<MachineEntry> = {},
): MachineEntry => ({
  driver: 'sized',
  options,
  host: { ...host('s'), resources: { place: 'there' } },
  ...rest,
})

test('options are changed in place, by replacing the host, or not at all', async () => {
  const context = contextOf({
    same: sized({}),
    larger: sized({ size: 'large' }),
    moved: sized({ size: 'large', place: 'here' }),
    kept: sized({ place: 'here' }, { protected: true }),
    foreign: sized({ place: 'here' }, { host: { phase: 'ready', resources: { place: 'there' } } }),
  })
  const { changes, issues } = await makePlan(context, options)
  const size = { option: 'size', from: 'small', to: 'large' }
  const change = { action: 'change', why: 'size small -> large', stops: true, options: [size] }
  const place = { option: 'place', from: 'there', to: 'here' }
  expect(changes).toEqual([
    { machine: 'larger', ...change },
    { machine: 'moved', ...change },
    {
      ...{ machine: 'moved', action: 'replace', why: 'place there -> here' },
      ...{ destructive: true, options: [place] },
    },
  ])
  expect(issues.map(({ machine, why }) => [machine, why]).slice(0, 2)).toEqual([
    ['kept', 'the machine is protected, but would have to be replaced: place there -> here'],
    ['foreign', 'the host must be replaced to change place there -> here'],
  ])
})

test('an approved replacement drops other changes of its host, and an unapproved one is dropped itself', async () => {
  const plan = await makePlan(
    contextOf({
      a: sized({ size: 'large', place: 'here' }),
      b: sized({ size: 'large', place: 'here' }),
    }),
    options,
  )
  const agreed = approvedChanges(plan, new Set(['b']))
  expect(agreed.map(({ machine, action }) => [machine, action])).toEqual([
    ['a', 'change'],
    ['b', 'replace'],
  ])
})

test('a host that should be stopped stays stopped, and is stopped again if it runs', async () => {
  const wanted = { driver: 'cloud', host: host('a'), stopped: true } as const
  const ready = { driver: 'cloud', host: host('b') }
  const running = Object.fromEntries(['a', 'b', 'c'].map((name) => [name, ready]))
  const others = Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`d-${i}`, ready]))
  const context = contextOf({ ...running, on: wanted, ...others, off: wanted })
  const { changes } = await makePlan(context, options)
  expect(changes).toEqual([
    { machine: 'on', action: 'stop', why: 'the host should be stopped, but is running' },
  ])
})

test('an adopted host is stopped only after confirmation', async () => {
  const { token: _made, ...adopted } = host('a')
  const context = contextOf({
    ...Object.fromEntries(
      ['a', 'b', 'c'].map((name) => [name, { driver: 'cloud', host: host(name) }]),
    ),
    ours: { driver: 'sized', host: host('ours'), stopped: true },
    theirs: { driver: 'sized', host: adopted, stopped: true },
    guarded: { driver: 'sized', host: adopted, stopped: true, options: { size: 'large' } },
  })
  const plan = await makePlan(context, options)
  const stops = plan.changes.filter(({ action }) => action === 'stop')
  expect(stops.map(({ machine, destructive }) => [machine, destructive])).toEqual([
    ['ours', undefined],
    ['theirs', true],
    ['guarded', true],
  ])
  const doneFor = (...names: string[]) =>
    approvedChanges(plan, new Set(names)).map(({ machine, action }) => `${action} ${machine}`)
  expect(doneFor().filter((one) => one.startsWith('stop'))).toEqual(['stop ours'])
  expect(doneFor('guarded')).toEqual(['stop ours', 'change guarded', 'stop guarded'])

  const unmarked = { machine: 'theirs', action: 'stop', why: 'a plan of somebody else' } as const
  const apply = applyTo(context, await (await context.inventory()).read())
  const calls = { progress: () => {}, signal: context.signal, trust: {} }
  const [change] = orderChanges(await (await context.inventory()).read(), [unmarked])
  if (change === undefined) throw new Error('nothing to apply')
  await expect(apply(change, calls)).rejects.toMatchObject({ kind: 'failed', machine: 'theirs' })
})

test('an interrupted replacement continues', async () => {
  const replacing: MachineEntry['host'] = { ...host('a'), phase: 'removing', replacing: true }
  const { changes } = await makePlan(
    contextOf({ a: { driver: 'cloud', host: replacing } }),
    options,
  )
  const why = 'host replacement was interrupted'
  expect(changes).toEqual([{ machine: 'a', action: 'replace', why }])
})

test('a plan for some machines queries no other hosts, and lists the skipped machines', async () => {
  const entries = Object.fromEntries(
    ['a', 'b', 'c'].map((name) => [name, { driver: 'cloud', host: host(name) }]),
  )
  const calls: number[] = []
  const context = contextOf({ ...entries, d: { driver: 'cloud' } }, calls)
  const plan = await makePlan(context, { ...options, chosen: new Set(['b', 'd']) })
  expect(calls).toEqual([1])
  expect(plan).toMatchObject({
    changes: [{ machine: 'd', action: 'create' }],
    drift: [{ machine: 'b', field: 'address' }],
    issues: [], // unmanaged hosts are not queried either
    skipped: ['a', 'c'],
  })
  const kept = parsePlan(JSON.stringify(plan), 'today.plan')
  expect(kept).toEqual(plan)
  const inventory = await (await context.inventory()).read()
  checkPlanned(kept, inventory)
  expect(narrowPlan(kept, inventory, new Set(['a', 'b']))).toMatchObject({
    changes: [],
    drift: [{ machine: 'b' }],
    skipped: ['a', 'c', 'd'],
  })
  expect(narrowPlan(kept, inventory, new Set(['a', 'b', 'c', 'd']))).toEqual(plan)
})

test('an aborted plan leaves no unhandled rejection behind', async () => {
  const unheard: unknown[] = []
  const hear = (error: unknown): void => void unheard.push(error)
  process.on('unhandledRejection', hear)
  const controller = new AbortController()
  const context = contextOf({ a: { driver: 'cloud', host: host('a') } })
  const late = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => setImmediate(() => reject(new Error('late'))))
  })
  const driver = await context.loadDriver('cloud')
  Object.assign(driver, {
    observe: () => late,
    lifecycle: { ...driver.lifecycle, list: () => late },
  })
  const planned = makePlan({ ...context, signal: controller.signal }, options)
  controller.abort(new Error('stopped'))
  await expect(planned).rejects.toThrow('stopped')
  for (let turns = 0; turns < 4; turns += 1) await turn()
  process.off('unhandledRejection', hear)
  expect(unheard).toEqual([])
})

test('a removal or replacement that was started elsewhere requires confirmation', async () => {
  const removing: MachineEntry['host'] = { ...host('elsewhere'), phase: 'removing' }
  const { token: _, ...adopted } = removing
  const { changes, issues } = await makePlan(
    contextOf({
      a: { driver: 'cloud', host: removing },
      b: { driver: 'cloud', host: { ...removing, replacing: true } },
      c: { driver: 'ssh', host: adopted },
      d: { driver: 'cloud', host: removing, protected: true },
    }),
    options,
  )
  expect(changes).toMatchObject([
    { machine: 'a', action: 'remove', destructive: true },
    { machine: 'b', action: 'replace', destructive: true },
    { machine: 'c', action: 'remove', destructive: true },
  ])
  expect(issues[0]).toMatchObject({ machine: 'd' })
})

test('setMachine sets any driver option that the schema allows', async () => {
  const context = contextOf({ a: sized({ size: 'small' }) })
  const set = (...words: string[]) => setMachine(context, 'a', parseSettings(words))
  expect(await set('place=here', 'size-', 'label.x=1')).toMatchObject({
    options: { place: 'here' },
    labels: { x: '1' },
  })
  expect(await set('size=large', 'place-')).toMatchObject({ options: { size: 'large' } })
  await expect(set('sise=large')).rejects.toThrow('unknown setting "sise" (did you mean "size"?)')
  await expect(set('size=')).rejects.toThrow('--size')
  expect((await (await context.inventory()).read()).machines.get('a' as MachineName)).toMatchObject(
    { options: { size: 'large' } },
  )
})
