import { cp, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { labIsHere } from '../../support/lab/lab.ts'
import { SwarmLab, nothingToDo } from '../../support/lab/swarm-lab.ts'
import { makeTestUser } from '../../support/test-user.ts'

/** Resolves to the command lines that contain a join token, among the processes that run during `work`. */
async function tokensInArguments(work: () => Promise<unknown>): Promise<string[]> {
  const found: string[] = []
  const state = { isOver: false }
  const sample = async (): Promise<void> => {
    while (!state.isOver) {
      for (const pid of await readdir('/proc')) {
        if (!/^\d+$/.test(pid)) continue
        const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
        if (line.includes('SWMTKN')) found.push(line)
      }
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const sampling = sample()
  await work().finally(() => (state.isOver = true))
  await sampling
  return found
}

/** Resolves to the files below a directory that contain a join token. */
async function tokensBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const found = files.map(async (entry) => {
    const path = join(entry.parentPath, entry.name)
    return (await readFile(path, 'latin1')).includes('SWMTKN') ? [path] : []
  })
  return (await Promise.all(found)).flat()
}

describe.skipIf(!labIsHere)('a swarm', () => {
  let swarm: SwarmLab

  beforeAll(async () => {
    swarm = await SwarmLab.start(
      Object.fromEntries(
        [1, 2, 3, 4, 5, 6].map((number) => [
          `h${number}`,
          { role: number < 4 ? 'manager' : 'web', rack: `r${(number + 1) % 2}` },
        ]),
      ),
    )
  })
  afterAll(() => swarm?.[Symbol.asyncDispose]())

  test('of 3 managers and 3 workers is created by one apply, and no token is exposed', async () => {
    const { ana, lab } = swarm
    const trace = join(ana.home, 'trace.log')
    const plan = await swarm.plan()
    expect(plan.code).toBe(2)
    expect(plan.text).toMatch(
      /\+ h1: initialize prod \(.*\n +\+ h2: join prod as manager .*\n +\+ h3: join prod as manager .*\n +\+ h4: join prod as worker/,
    )
    const found = await tokensInArguments(async () => {
      const env = { FLEET_DEBUG: '1', FLEET_DEBUG_FILE: trace }
      const { code, stderr } = await ana.fleet(['apply', '--yes', '--timeout', '60'], { env })
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    })
    expect(found).toEqual([])
    expect(await readFile(trace, 'utf8')).toContain('/swarm/join')
    expect(await tokensBelow(ana.home)).toEqual([])
    expect(await tokensBelow(ana.folder)).toEqual([])
    const nodes = await swarm.nodes()
    expect(
      lab.hosts.map(({ name }) => [nodes[name]?.Spec.Role, nodes[name]?.Spec.Availability]),
    ).toEqual(
      ['manager', 'manager', 'manager', 'worker', 'worker', 'worker'].map((role) => [
        role,
        'active',
      ]),
    )
    expect(nodes['h4']?.Spec.Labels).toMatchObject({
      ...{ role: 'web', rack: 'r1', 'fleet.machine': 'h4' },
    })
    expect(nodes['h2']?.Status.Addr).toBe(lab.hosts[1]?.address)
    const text = await readFile(join(ana.folder, 'machines.yaml'), 'utf8')
    expect(text).toMatch(/workers: role=web # the shop\n +id: [a-z0-9]{25}\n/)
    expect(await swarm.plan()).toEqual(nothingToDo)
  })

  test('is visible to another operator, whose plan is empty', async () => {
    const { ana, lab } = swarm
    await using ben = await makeTestUser({ identity: lab.identity.file })
    await cp(join(ana.folder, 'machines.yaml'), join(ben.folder, 'machines.yaml'))
    expect(await swarm.plan(ben)).toEqual(nothingToDo)
    expect(await swarm.ok('swarm ls', ben)).toMatch(/prod\thealthy\t3\/3\t6\/6\t/)
    const text = await swarm.ok('swarm status prod --json', ben)
    const status = JSON.parse(text) as Record<string, string>[]
    expect(status.map(({ machine, role }) => [machine, role])).toEqual(
      lab.hosts.map(({ name }, index) => [name, index < 3 ? 'manager' : 'worker']),
    )
    expect(status.filter(({ leader }) => leader)).toHaveLength(1)
  })

  test('gets new labels, roles and members, and keeps labels set by others', async () => {
    const { labels } = swarm
    await swarm.on('h1', 'docker node update --label-add owner=ben h5')
    labels['h5'] = { role: 'web', disk: 'ssd' }
    labels['h4'] = { role: 'manager', rack: 'r1' }
    labels['h3'] = { role: 'web', rack: 'r0' }
    labels['h6'] = { role: 'none' }
    await swarm.save()
    const plan = await swarm.plan()
    const order = ['promote to manager', 'label', 'demote to worker', 'leave'].map((words) =>
      plan.text.indexOf(words),
    )
    expect(order).toEqual(order.toSorted((one, other) => one - other))
    expect(order).not.toContain(-1)
    await swarm.ok('apply --yes --timeout 60')
    const nodes = await swarm.nodes()
    expect(Object.keys(nodes).toSorted()).toEqual(['h1', 'h2', 'h3', 'h4', 'h5'])
    expect(nodes['h5']?.Spec.Labels).toEqual({
      ...{ role: 'web', disk: 'ssd', owner: 'ben' },
      ...{ 'fleet.machine': 'h5', 'fleet.labels': 'disk,role' },
    })
    expect([nodes['h3']?.Spec.Role, nodes['h4']?.Spec.Role]).toEqual(['worker', 'manager'])
    expect(await swarm.on('h6', 'docker info -f {{.Swarm.LocalNodeState}}')).toBe('inactive')
    expect(await swarm.plan()).toEqual(nothingToDo)
  })
})
