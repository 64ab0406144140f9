import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { labIsHere } from '../../support/lab/lab.ts'
import { SwarmLab, nothingToDo } from '../../support/lab/swarm-lab.ts'

describe.skipIf(!labIsHere)('machines of a swarm', () => {
  let swarm: SwarmLab

  /** Resolves to the hosts on which tasks of the service run. */
  const tasks = async (): Promise<string[]> =>
    (
      await swarm.on(
        'h1',
        `docker service ps shop --filter desired-state=running --format '{{.Node}} {{.CurrentState}}'`,
      )
    )
      .split('\n')
      .filter((line) => line.includes(' Running '))
      .map((line) => line.replace(/ .*/, ''))
      .toSorted()
  const availability = async (name: string): Promise<string | undefined> =>
    (await swarm.nodes())[name]?.Spec.Availability

  beforeAll(async () => {
    const [manager, web] = [{ role: 'manager' }, { role: 'web' }]
    swarm = await SwarmLab.start(
      { h1: manager, h2: manager, h3: manager, h4: web, h5: web },
      { power: true },
    )
    await swarm.ok('apply --yes --timeout 60')
  })
  afterAll(() => swarm?.[Symbol.asyncDispose]())

  test('run a service', async () => {
    await swarm.on(
      'h1',
      'docker service create --quiet --detach --name shop --endpoint-mode dnsrr --replicas 2 --no-resolve-image --constraint node.role==worker --stop-grace-period 1s bb:1 sleep 100000',
    )
    await expect.poll(tasks, { timeout: 120_000 }).toEqual(['h4', 'h5'])
  })

  test('are not stopped or removed if the swarm would lose its majority of managers', async () => {
    const before = await readFile(join(swarm.ana.folder, 'machines.yaml'), 'utf8')
    for (const words of [
      ['stop', 'h4', 'h2', 'h3'],
      ['kill', 'h2', 'h3'],
      ['rm', '--yes', 'h2', 'h3'],
      ['stop', '--on', 'role=manager'],
    ]) {
      const { code, stderr } = await swarm.ana.fleet(words)
      expect({ words, code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/swarm prod needs this machine as a manager: only \d of 3/),
      })
    }
    expect(await swarm.ana.inventory()).toBe(before)
    const nodes = Object.values(await swarm.nodes())
    expect(nodes.map(({ Spec, Status }) => [Spec.Availability, Status.State])).toEqual(
      nodes.map(() => ['active', 'ready']),
    )
  })

  test('are drained before they stop, and active again after they start', async () => {
    await swarm.ok('stop h5')
    expect(await tasks()).toEqual(['h4', 'h4'])
    expect((await swarm.nodes())['h5']).toMatchObject({
      Spec: { Availability: 'drain', Labels: { 'fleet.drained': 'true' } },
    })
    expect(await swarm.plan()).toEqual(nothingToDo)
    await swarm.ok('start h5')
    const node = (await swarm.nodes())['h5']
    expect(node).toMatchObject({ Status: { State: 'ready' }, Spec: { Availability: 'active' } })
    expect(node?.Spec.Labels).not.toHaveProperty('fleet.drained')
    expect(await swarm.plan()).toEqual(nothingToDo)
  })

  test('are active again after a restart, but remain drained if a user drained them', async () => {
    await swarm.on('h1', 'docker node update --availability drain h4')
    await swarm.ok('restart h4 h2')
    expect(await availability('h4')).toBe('drain')
    expect(await availability('h2')).toBe('active')
    await swarm.on('h1', 'docker node update --availability active h4')
  })

  test('are active again if their tasks do not stop in time, or after fleet was killed', async () => {
    await swarm.on(
      'h1',
      'docker service update --detach --stop-grace-period 10m --args "sh -c \'trap : TERM; while :; do sleep 1; done\'" shop',
    )
    await expect.poll(tasks, { timeout: 120_000 }).toHaveLength(2)
    const [busy = ''] = await tasks()
    const { code, stderr } = await swarm.ana.fleet(['stop', busy, '--drain-timeout', '2'])
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/the node's tasks did not stop within 2 s/),
    })
    expect(await availability(busy)).toBe('active')
    let isKilled = false
    await swarm.ana.fleet(['stop', busy, '--json'], {
      said: (text, pid) => {
        if (isKilled || !text.includes('"step":"drain the node"')) return
        isKilled = true
        process.kill(pid, 'SIGKILL')
      },
    })
    expect(await availability(busy)).toBe('drain')
    const plan = await swarm.plan()
    expect(plan).toMatchObject({
      code: 2,
      text: expect.stringMatching(/the node is still drained/),
    })
    await swarm.ok('apply --yes')
    expect(await availability(busy)).toBe('active')
    await swarm.on('h1', 'docker service rm shop')
  })

  test('leave the swarm before they are removed, even if their host is dead', async () => {
    await swarm.host('h5').kill()
    const gone = await swarm.ok('rm --yes h5')
    expect(gone).toMatch(/h5: removed the host/)
    expect(Object.keys(await swarm.nodes()).toSorted()).toEqual(['h1', 'h2', 'h3', 'h4'])
    await swarm.ok('rm --yes h3')
    const nodes = await swarm.nodes()
    expect(Object.keys(nodes).toSorted()).toEqual(['h1', 'h2', 'h4'])
    expect(nodes['h2']?.ManagerStatus?.Reachability).toBe('reachable')
    expect(await swarm.plan()).toEqual(nothingToDo)
  })
})
