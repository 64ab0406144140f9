import { setImmediate } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import type { Machine } from '../../../../src/machine/machine.ts'
import { Members } from '../../../../src/operations/swarm/interrupt-members.ts'
import { SimulatedFleet } from '../../../support/in-process/simulated-fleet.ts'

vi.mock(import('../../../../src/os/retry.ts'), async (original) => ({
  ...(await original()),
  ...(await import('../../../support/in-process/simulated-retry.ts')),
}))

vi.mock(import('../../../../src/operations/swarm/host-networks.ts'), async (original) => {
  const { simulateNetworks } = await import('../../../support/in-process/simulated-networks.ts')
  return simulateNetworks(await original())
})

/** Roles of the machines in successive versions of the inventory. */
const turns = [
  { a: 'manager', b: 'manager', c: 'manager', d: 'web', e: 'none', f: 'none' },
  { a: 'web', d: 'manager', e: 'web', c: 'none', f: 'manager' },
] as const

/** Returns a fleet whose inventory has the roles of `turn`, while its swarm has the roles of the previous turn. */
async function fleetAt(turn: number): Promise<SimulatedFleet> {
  const fleet = new SimulatedFleet(7)
  for (const [index, roles] of turns.slice(0, turn + 1).entries()) {
    for (const [name, role] of Object.entries(roles)) await fleet.edit(name, { labels: { role } })
    if (index < turn) await fleet.apply()
  }
  return fleet
}

/**
 * Applies changes until step `number` is reached, as if fleet were killed there. There are steps before and after each
 * request and each write. Resolves to whether the step was reached.
 */
async function applyUntil(fleet: SimulatedFleet, number: number): Promise<boolean> {
  const killing = new AbortController()
  let count = 0
  fleet.engines.onStep = () => {
    count += 1
    if (count === number) killing.abort(new Error('killed'))
    killing.signal.throwIfAborted()
  }
  await fleet.applyUntilKilled(killing.signal)
  fleet.engines.onStep = () => {}
  return killing.signal.aborted
}

test.each([0, 1])(
  'apply that is killed at any step leads to the same cluster when repeated (inventory version %i)',
  async (turn) => {
    let number = 1
    for (; number < 5000; number += 1) {
      const fleet = await fleetAt(turn)
      const [before] = fleet.engines.clusters
      if (!(await applyUntil(fleet, number))) break
      for (let round = 0; round < 4; round += 1) if ((await fleet.apply()) === 0) break
      expect(fleet.engines.nodes(), `killed at ${number}\n${fleet.log.join('\n')}`).toEqual(
        await fleet.wanted(),
      )
      expect(fleet.engines.clusters).toHaveLength(1)
      expect(before ?? fleet.engines.clusters[0]).toBe(fleet.engines.clusters[0])
    }
    // Each request is one step, and each change to an engine or to the inventory is another.
    expect(number).toBeGreaterThan(60)
  },
  300_000,
)

test('a node whose engine left the swarm during its promotion is removed, and the machine joins again', async () => {
  const fleet = await fleetAt(1)
  const [cluster] = fleet.engines.clusters
  const host = fleet.engines.host('d')
  const old = cluster?.nodes.get(host.membership?.node ?? '')
  if (cluster === undefined || old === undefined) throw new Error('d is no node')
  Object.assign(old, { spec: { ...old.spec, Role: 'manager' }, delay: Infinity })
  host.membership = undefined
  for (let round = 0; round < 4; round += 1) if ((await fleet.apply()) === 0) break
  expect([...cluster.nodes.keys()]).not.toContain(old.id)
  expect(fleet.engines.nodes()).toEqual(await fleet.wanted())
})

test.each([
  ['join again', 'web'],
  ['leave', 'none'],
])('lets a worker with a failed engine %s, wherever apply is killed', async (_what, role) => {
  let number = 1
  for (; number < 1000; number += 1) {
    const fleet = await fleetAt(1)
    await fleet.apply()
    fleet.engines.host('e').failure = 'no certificate'
    await fleet.edit('e', { labels: { role } })
    if (!(await applyUntil(fleet, number))) break
    for (let round = 0; round < 4; round += 1) if ((await fleet.apply()) === 0) break
    expect(fleet.engines.nodes(), `killed at ${number}\n${fleet.log.join('\n')}`).toEqual(
      await fleet.wanted(),
    )
    expect(fleet.engines.host('e').failure).toBeUndefined()
    expect(fleet.engines.clusters[0]?.nodes.size).toBe(Object.keys(await fleet.wanted()).length)
  }
  expect(number).toBeGreaterThan(5)
})

test('a worker whose engine cannot be promoted rejoins as a manager', async () => {
  const fleet = await fleetAt(1)
  await fleet.apply()
  const before = fleet.engines.host('e').membership?.node
  fleet.engines.host('e').failsPromotion = true
  await fleet.edit('e', { labels: { role: 'manager' } })
  await fleet.apply()
  expect(fleet.engines.host('e')).toMatchObject({ failsPromotion: false, failure: undefined })
  expect(fleet.engines.host('e').membership?.node).not.toBe(before)
  expect(fleet.engines.nodes()).toEqual(await fleet.wanted())
  expect(await fleet.apply()).toBe(0)
})

test('restarts the nodes of a swarm in turn: each one is drained, and only one manager is down at a time', async () => {
  const fleet = await fleetAt(1)
  await fleet.apply()
  const machines = (await fleet.machines()).filter(({ name }) => name in fleet.engines.nodes())
  const interrupted = machines.map((machine) => ({ machine, interruption: 'restart' as const }))
  await using members = await Members.open(fleet.context, interrupted, {
    ...{ drainMs: 1000, rolling: true },
  })
  const down = new Set<string>()
  const calls = { signal: fleet.signal, progress: () => {} }
  const restart = (machine: Machine): Promise<string> =>
    members.restart(machine, calls, async () => {
      down.add(machine.name)
      const nodes = fleet.engines.nodes()
      const managers = [...down].filter((name) => nodes[name]?.Role === 'manager')
      expect(managers.length).toBeLessThan(2)
      expect(nodes[machine.name]?.Availability).toBe('drain')
      await setImmediate()
      down.delete(machine.name)
      return machine.name
    })
  expect(await Promise.all(machines.map(restart))).toHaveLength(machines.length)
  expect(fleet.engines.nodes()).toEqual(await fleet.wanted())
})
