import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { labIsHere } from '../../support/lab/lab.ts'
import { SwarmLab, nothingToDo } from '../../support/lab/swarm-lab.ts'

/** New roles of machines, and the steps of the resulting changes, in order. */
interface Turn {
  readonly roles: Readonly<Record<string, 'manager' | 'web' | 'none'>>
  readonly steps: readonly string[]
}

const turns: readonly Turn[] = [
  {
    roles: { h1: 'manager', h2: 'manager', h3: 'web' },
    steps: [
      'choose the networks',
      'initialize the swarm',
      'record the swarm ID',
      'set node labels',
    ],
  },
  {
    roles: { h4: 'web', h3: 'manager', h2: 'web' },
    steps: [
      ...['promote the node to manager', 'wait until the new manager is reachable'],
      ...[
        'choose the node address',
        'join the swarm',
        'wait until the machine has joined',
        'set node labels',
      ],
      'demote the node to worker',
    ],
  },
  {
    roles: { h3: 'none' },
    steps: [
      ...['demote the node to worker', 'drain the node', 'leave the swarm'],
      ...['wait until the node is down', 'remove the node'],
    ],
  },
]

describe.skipIf(!labIsHere)('apply killed at any step', () => {
  let swarm: SwarmLab

  beforeAll(async () => {
    const none = { role: 'none' }
    swarm = await SwarmLab.start({ h1: none, h2: none, h3: none, h4: none })
  })
  afterAll(() => swarm?.[Symbol.asyncDispose]())

  test.each(turns)('results in the same cluster with $roles', async ({ roles, steps }) => {
    for (const [name, role] of Object.entries(roles)) swarm.labels[name] = { role }
    await swarm.save()
    const before = swarm.id
    const killed: string[] = []
    for (const step of steps) if (await swarm.applyUntil(step)) killed.push(step)
    await swarm.ok('apply --yes --timeout 60')
    expect(await swarm.plan()).toEqual(nothingToDo)
    // If the engines have completed what a killed apply requested, the step is not repeated.
    expect(killed.length).toBeGreaterThanOrEqual(steps.length - 2)
    await swarm.save()
    expect(swarm.id).toMatch(/^[a-z0-9]{25}$/)
    expect(before ?? swarm.id).toBe(swarm.id)
    const nodes = await swarm.nodes()
    const wanted = Object.entries(swarm.labels)
      .filter(([, { role }]) => role !== 'none')
      .map(([name, { role }]) => [name, role === 'manager' ? 'manager' : 'worker'])
    const found = Object.entries(nodes).map(([name, { Spec }]) => [name, Spec.Role])
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted))
  })
})
