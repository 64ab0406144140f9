import { expect, test, vi } from 'vitest'
import { SimulatedFleet } from '../../../support/in-process/simulated-fleet.ts'
import { printedNetworks } from '../../../support/in-process/simulated-swarm.ts'

vi.mock(import('../../../../src/os/retry.ts'), async (original) => ({
  ...(await original()),
  ...(await import('../../../support/in-process/simulated-retry.ts')),
}))

vi.mock(import('../../../../src/operations/swarm/host-networks.ts'), async (original) => {
  const real = await original()
  const readNetworks: typeof real.readNetworks = async (_context, { host }) =>
    real.parseNetworks(printedNetworks(host?.address ?? ''))
  return { ...real, readNetworks }
})

/** Roles of machines, one after the other. */
const turns = [
  { a: 'manager', b: 'manager', c: 'manager', d: 'web', e: 'none', f: 'none' },
  { a: 'web', d: 'manager', e: 'web', c: 'none', f: 'manager' },
] as const

/** A fleet whose swarm is at a turn, but for the last change of labels. */
async function fleetAt(turn: number): Promise<SimulatedFleet> {
  const fleet = new SimulatedFleet(7)
  for (const [index, roles] of turns.slice(0, turn + 1).entries()) {
    for (const [name, role] of Object.entries(roles)) await fleet.edit(name, { labels: { role } })
    if (index < turn) await fleet.apply()
  }
  return fleet
}

/** Applies, and ends at a request or a write, as if killed: `number` counts both, before and after each. Whether it got that far. */
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
  'apply that is killed anywhere ends in the same cluster (turn %i)',
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
    // Each request is one step, and each change of an engine or of the inventory one more.
    expect(number).toBeGreaterThan(60)
  },
  300_000,
)

test('a node whose engine left while it was promoted is removed, and the machine joins again', async () => {
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
