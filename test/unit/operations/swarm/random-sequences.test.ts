import { expect, test, vi } from 'vitest'
import { UserError } from '../../../../src/errors.ts'
import { SimulatedFleet } from '../../../support/in-process/simulated-fleet.ts'

vi.mock(import('../../../../src/os/retry.ts'), async (original) => ({
  ...(await original()),
  ...(await import('../../../support/in-process/simulated-retry.ts')),
}))

vi.mock(import('../../../../src/operations/swarm/host-networks.ts'), async (original) => {
  const { simulateNetworks } = await import('../../../support/in-process/simulated-networks.ts')
  return simulateNetworks(await original())
})

/** Runs a sequence of steps, starts all hosts, and applies changes until there is nothing left to do. */
async function runSequence(seed: number): Promise<void> {
  const world = new SimulatedFleet(seed)
  const { engines, random } = world
  const tolerate = (error: unknown): void => {
    if (!(error instanceof UserError) || error.kind === 'bug') throw error
    world.log.push(`  ! ${error.message}`)
  }
  try {
    await world.apply().catch(tolerate)
    engines.failureRate = random() < 0.5 ? 0 : 0.02
    for (let count = 0; count < 8; count += 1) await world.step().catch(tolerate)
    engines.failureRate = 0
    for (const { name } of await world.machines()) {
      world.switch(name, true)
      await world.edit(name, { stopped: undefined })
    }
    const [first] = await world.machines()
    if (first === undefined) return
    await world.edit(first.name, { labels: { role: 'manager', rack: '1' } })
    for (let round = 0; round < 8; round += 1) if ((await world.apply()) === 0) break
    expect(engines.nodes()).toEqual(await world.wanted())
  } catch (error) {
    throw new Error(`sequence ${seed}: ${String(error)}\n${world.log.join('\n')}`, { cause: error })
  }
}

// 200 sequences, in four groups
test.each([1, 51, 101, 151])(
  'random sequences with seeds from %i on end with the nodes in the inventory, and never lose the quorum',
  async (first) => {
    for (let seed = first; seed < first + 50; seed += 1) {
      await expect(runSequence(seed)).resolves.toBeUndefined()
    }
  },
  300_000,
)
