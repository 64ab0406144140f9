import pLimit from 'p-limit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { HostRecord } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { operationOf } from '../../support/azure/azure.ts'
import {
  type DriverSeat,
  fleetId,
  newAttempt,
  seatDriver,
} from '../../support/azure/driver-seat.ts'

let seat: DriverSeat

const quotas = Object.fromEntries(
  ['cores', 'virtualMachines', 'standardBasv2Family', 'PublicIPAddresses'].map((name) => [
    name,
    [0, 1000] as const,
  ]),
)

beforeAll(async () => {
  seat = await seatDriver({ pageSize: 1000, settleMs: 1, quotas })
})
afterAll(() => seat[Symbol.asyncDispose]())

/** Number of hosts that a command works on concurrently. */
const atOnce = 10

/**
 * Returns the number of calls to Azure that `work` makes, keyed by kind; status requests of operations count as
 * `polls`.
 */
async function callsOf(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = seat.azure.exchanges.length
  await work()
  const counts: Record<string, number> = {}
  for (const { request } of seat.azure.exchanges.slice(before)) {
    const operation = operationOf(request)
    if (/ login\./.test(operation)) continue
    const kind = operation === 'GET operation' ? 'polls' : operation
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

const sum = ({ polls: _, ...calls }: Record<string, number>): number =>
  Object.values(calls).reduce((all, count) => all + count, 0)

test.each([
  ['separate resource groups', undefined],
  ['an existing resource group', 'yours'],
])('50 hosts in %s require few calls', async (where, resourceGroup) => {
  const { azure, driver } = seat
  azure.addGroup('yours')
  const count = 50
  const attempts = Array.from({ length: count }, (_, index) =>
    newAttempt(seat.options({ resourceGroup }), `web-${index + 1}`),
  )
  const limit = pLimit(atOnce)
  const each = <Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>) =>
    Promise.all(items.map((item) => limit(() => work(item))))
  let hosts: readonly HostRecord[] = []
  const create = await callsOf(async () => {
    await each(attempts, (one) => seat.attempt(one))
    hosts = attempts.map(({ record }) => record)
  })
  const plan = await callsOf(async () => {
    const byName = new Map(attempts.map(({ name, record }) => [name, record]))
    const seen = await driver.observe(byName, seat.call())
    await each(attempts, async ({ name, record, options }) =>
      driver.update?.compare(record, options, seen.get(name) ?? { state: 'unknown' }, seat.call()),
    )
    await driver.lifecycle?.list({ id: fleetId, options: [{}] }, seat.call())
  })
  const resize = await callsOf(() =>
    each(hosts, async (host) =>
      driver.update?.compare(
        host,
        seat.options({ resourceGroup, size: 'Standard_D2s_v5' }),
        { state: 'running' },
        seat.call(),
      ),
    ),
  )
  const ls = await callsOf(() =>
    driver.observe(
      new Map([['web-1' as MachineName, hosts[0] ?? { phase: 'ready' }]]),
      seat.call(),
    ),
  )
  const rm = await callsOf(() =>
    each(hosts, async (host) => driver.lifecycle?.remove(host, seat.call())),
  )
  console.log(`${count} hosts in ${where}`, { create, plan, resize, ls, rm })

  // Providers, sizes and the image are read once for all hosts; quotas and an existing group, a few times.
  expect(sum(create)).toBeLessThan(count * 13 + 60)
  expect(sum(plan)).toBeLessThanOrEqual(6)
  expect(sum(resize)).toBeLessThanOrEqual(1)
  expect(sum(ls)).toBe(2)
  // After each removal, the shared network is checked for hosts; after the last one, it is deleted with its group. If
  // the last removals are concurrent, each of them finds the network empty.
  expect(sum(rm)).toBeLessThanOrEqual(
    count * (resourceGroup === undefined ? 4 : 10) + 4 * atOnce + 20,
  )
  expect(azure.remains()).toHaveLength(1)
})
