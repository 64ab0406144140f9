import { expect, test, vi } from 'vitest'
import { planRecovery, recoverSwarm } from '../../../../src/operations/swarm/recover-swarm.ts'
import { SimulatedFleet } from '../../../support/in-process/simulated-fleet.ts'

vi.mock(import('../../../../src/os/retry.ts'), async (original) => ({
  ...(await original()),
  ...(await import('../../../support/in-process/simulated-retry.ts')),
}))

vi.mock(import('../../../../src/operations/swarm/host-networks.ts'), async (original) => {
  const { simulateNetworks } = await import('../../../support/in-process/simulated-networks.ts')
  return simulateNetworks(await original())
})

const limits = { timeoutMs: 1000 }

/** Creates a swarm of five managers and a worker, with three managers down. */
async function lostFleet(): Promise<SimulatedFleet> {
  const fleet = new SimulatedFleet(3)
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    await fleet.edit(name, { labels: { role: 'manager' } })
  }
  while ((await fleet.apply()) > 0);
  for (const name of ['c', 'd', 'e']) fleet.switch(name, false)
  return fleet
}

const calls = (signal = new AbortController().signal) => ({ signal, progress: () => {} })

const clusterOf = (fleet: SimulatedFleet) => {
  const [cluster] = fleet.engines.clusters
  if (cluster === undefined) throw new Error('there is no cluster')
  return cluster
}

test('a recovery that is killed at any step is finished by the next one, from the same manager', async () => {
  let number = 1
  for (let wasKilled = true; wasKilled; number += 1) {
    const fleet = await lostFleet()
    const cluster = clusterOf(fleet)
    const planned = await planRecovery(fleet.context, 'prod', limits)
    expect(planned).toMatchObject({
      ...{ survivor: { name: 'a' }, others: [{ name: 'b' }], silent: ['c', 'd', 'e'] },
      isBegun: false,
    })
    const killing = new AbortController()
    let count = 0
    fleet.engines.onStep = () => {
      count += 1
      if (count === number) killing.abort(new Error('killed'))
      killing.signal.throwIfAborted()
    }
    const first = recoverSwarm(fleet.context, planned, calls(killing.signal))
    await first.catch((error: unknown) => {
      if (!killing.signal.aborted) throw error
    })
    fleet.engines.onStep = () => {}
    wasKilled = killing.signal.aborted
    const again = await planRecovery(fleet.context, 'prod', limits).catch(() => undefined)
    expect(again?.survivor.name ?? 'a').toBe('a')
    if (again !== undefined) await recoverSwarm(fleet.context, again, calls())
    expect(Object.keys(fleet.engines.nodes()).toSorted(), `killed at ${number}`).toEqual(['a', 'f'])
    expect(cluster.raft.size).toBe(1)
    expect(fleet.engines.host('b').membership).toBeUndefined()
  }
  expect(number).toBeGreaterThan(15)
}, 300_000)

test('nothing is changed if the swarm has a leader again when the recovery starts', async () => {
  const fleet = await lostFleet()
  const planned = await planRecovery(fleet.context, 'prod', limits)
  fleet.switch('c', true)
  await expect(recoverSwarm(fleet.context, planned, calls())).rejects.toThrow('it has a leader')
  expect(clusterOf(fleet).raft.size).toBe(5)
  expect(fleet.engines.host('b').membership).toBeDefined()
})

test('a manager of another swarm without a leader is neither used for the recovery nor made to leave', async () => {
  const fleet = await lostFleet()
  const b = fleet.engines.host('b')
  const cluster = clusterOf(fleet)
  const elsewhere = {
    ...cluster,
    id: 'other'.padEnd(25, 'x'),
    raft: new Set(['n98', 'n99', 'n97']),
  }
  b.membership = { node: 'n99', cluster: elsewhere }
  const { survivor } = await planRecovery(fleet.context, 'prod', limits)
  expect(survivor.name).toBe('a')
  await recoverSwarm(fleet.context, await planRecovery(fleet.context, 'prod', limits), calls())
  expect(b.membership).toMatchObject({ node: 'n99' })
  expect([...cluster.raft]).toHaveLength(1)
})

test('reports why there is no manager to recover from', async () => {
  const fleet = await lostFleet()
  const recovery = (from?: string) => planRecovery(fleet.context, 'prod', { ...limits, from })
  await expect(recovery('f')).rejects.toMatchObject({
    message: 'f is not a manager of swarm prod, or did not respond',
    hint: 'managers that responded: a, b',
  })
  const elsewhere = {
    ...clusterOf(fleet),
    id: 'other'.padEnd(25, 'x'),
    raft: new Set(['n98', 'n97']),
  }
  fleet.engines.host('a').membership = { node: 'n98', cluster: elsewhere }
  fleet.engines.host('b').membership = { node: 'n97', cluster: elsewhere }
  await expect(recovery()).rejects.toMatchObject({
    message: 'the workers of swarm prod belong to none of the managers that responded: a, b',
    hint: expect.stringContaining('fleet swarm recover prod --from a'),
  })
  for (const name of ['a', 'b']) fleet.switch(name, false)
  await expect(recovery()).rejects.toMatchObject({
    message: 'no manager of swarm prod responded, so the swarm cannot be recovered',
  })
})

test('a healthy swarm whose new manager has failed needs no recovery', async () => {
  const fleet = new SimulatedFleet(3)
  await fleet.apply()
  const cluster = clusterOf(fleet)
  const node = [...cluster.nodes.values()].find(({ host }) => host.name === 'd')
  if (node === undefined) throw new Error('d is no node')
  node.spec = { ...node.spec, Role: 'manager' }
  Object.assign(node, { delay: Infinity })
  fleet.engines.host('d').failure = 'no route to host'
  await expect(planRecovery(fleet.context, 'prod', limits)).rejects.toThrow('it has a leader')
})

test('a swarm with autolock is refused', async () => {
  const fleet = await lostFleet()
  const { store } = fleet
  const inventory = await store.read()
  const swarm = inventory.swarms.get('prod')
  if (swarm === undefined) throw new Error('there is no swarm')
  const locked = new Map([['prod', { ...swarm, autolock: true }]])
  fleet.store = { ...store, read: async () => ({ ...inventory, swarms: locked }) }
  await expect(planRecovery(fleet.context, 'prod', limits)).rejects.toMatchObject({
    ...{ kind: 'unsupported', message: expect.stringContaining('autolock') },
  })
})
