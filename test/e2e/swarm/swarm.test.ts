import { cp, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { type Person, makePerson } from '../../support/test-user.ts'

/** A node as `docker node ls` and `docker node inspect` describe it. */
interface Node {
  readonly ID: string
  readonly Spec: {
    readonly Role: string
    readonly Availability: string
    readonly Labels: Readonly<Record<string, string>>
  }
  readonly Status: { readonly State: string; readonly Addr: string }
  readonly ManagerStatus?: { readonly Reachability: string }
}

const onHost = async (host: LabHost | undefined, command: string): Promise<string> =>
  (await host?.exec(command))?.stdout.trim() ?? ''

/** The nodes of a host's swarm by the name of their host. */
async function nodesOn(host: LabHost | undefined): Promise<Record<string, Node>> {
  const text = await onHost(host, 'docker node ls -q | xargs docker node inspect')
  const nodes = JSON.parse(text) as (Node & { Description: { Hostname: string } })[]
  const named = Object.fromEntries(nodes.map((node) => [node.Description.Hostname, node]))
  expect(Object.keys(named)).toHaveLength(nodes.length)
  return named
}

/** No changes, and no problems; the records lack facts of the hosts, which a plan reports. */
const nothingToDo = { code: 0, text: expect.not.stringMatching(/fleet apply|attention/) as string }

/** The commands with a join token in their arguments that run while `work` does. */
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

/** The files below a folder that contain a join token. */
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
  let lab: Lab
  let ana: Person
  let labels: Record<string, Record<string, string>>
  let id: string | undefined

  const inventory = (): string => {
    const machines = lab.hosts.map(({ name, address, hostKey }) => {
      const host = { phase: 'ready', address, port: 22, user: 'root', hostKeys: [hostKey] }
      const own = JSON.stringify({
        ...{ driver: 'ssh', labels: labels[name], options: { address }, host },
      })
      return `  ${name}: ${own}\n`
    })
    const recorded = id === undefined ? '' : `\n    id: ${id}`
    return `version: 1
id: 0123abcd
swarms:
  prod:
    managers: role=manager
    workers: role=web # the shop${recorded}
machines:
${machines.join('')}`
  }
  const save = async (): Promise<void> => {
    const written = await readFile(join(ana.folder, 'machines.yaml'), 'utf8').catch(() => '')
    id = /^ +id: ([a-z0-9]{25})$/m.exec(written)?.[1]
    await writeFile(join(ana.folder, 'machines.yaml'), inventory())
  }
  const ok = async (line: string, who = ana): Promise<string> => {
    const { code, stdout, stderr } = await who.fleet(line.split(' '))
    expect({ line, code, stderr: code === 0 ? '' : stderr }).toEqual({ line, code: 0, stderr: '' })
    return stdout + stderr
  }
  const planOf = async (who = ana): Promise<{ code: number; text: string }> => {
    const { code, stdout, stderr } = await who.fleet(['plan', '--timeout', '60'])
    return { code, text: stdout + stderr }
  }
  /** Applies, and kills the program with SIGKILL when a step begins. */
  const applyUntil = async (step: string): Promise<boolean> => {
    let isKilled = false
    await ana.fleet(['apply', '--yes', '--json', '--timeout', '60'], {
      said: (stderr, pid) => {
        if (isKilled || !stderr.includes(`"step":"${step}"`)) return
        isKilled = true
        process.kill(pid, 'SIGKILL')
      },
    })
    return isKilled
  }

  beforeAll(async () => {
    lab = await startLab({ hosts: 6, engine: true, image: true })
    ana = await makePerson({ identity: lab.identity.file, broker: true })
    labels = Object.fromEntries(
      lab.hosts.map(({ name }, index) => [
        name,
        { role: index < 3 ? 'manager' : 'web', rack: `r${index % 2}` },
      ]),
    )
    await save()
  })
  afterAll(async () => {
    await ana?.[Symbol.asyncDispose]()
    await lab?.[Symbol.asyncDispose]()
  })

  test('of 3 managers and 3 workers comes from one apply, without a token anywhere', async () => {
    const trace = join(ana.home, 'trace.log')
    const plan = await planOf()
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
    const nodes = await nodesOn(lab.hosts[0])
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
    expect(await planOf()).toEqual(nothingToDo)
  })

  test('is seen by another operator, with an empty plan', async () => {
    await using ben = await makePerson({ identity: lab.identity.file })
    await cp(join(ana.folder, 'machines.yaml'), join(ben.folder, 'machines.yaml'))
    expect(await planOf(ben)).toEqual(nothingToDo)
    expect(await ok('swarm ls', ben)).toMatch(/prod\thealthy\t3\/3\t6\/6\t/)
    const status = JSON.parse(await ok('swarm status prod --json', ben)) as Record<string, string>[]
    expect(status.map(({ machine, role }) => [machine, role])).toEqual(
      lab.hosts.map(({ name }, index) => [name, index < 3 ? 'manager' : 'worker']),
    )
    expect(status.filter(({ leader }) => leader)).toHaveLength(1)
  })

  test('gets new labels, roles and members, and keeps labels that others have set', async () => {
    await onHost(lab.hosts[0], 'docker node update --label-add owner=ben h5')
    labels['h5'] = { role: 'web', disk: 'ssd' }
    labels['h4'] = { role: 'manager', rack: 'r1' }
    labels['h3'] = { role: 'web', rack: 'r0' }
    labels['h6'] = { role: 'none' }
    await save()
    const plan = await planOf()
    const order = ['promote to manager', 'label', 'demote to worker', 'leave'].map((words) =>
      plan.text.indexOf(words),
    )
    expect(order).toEqual(order.toSorted((one, other) => one - other))
    expect(order).not.toContain(-1)
    await ok('apply --yes --timeout 60')
    const nodes = await nodesOn(lab.hosts[0])
    expect(Object.keys(nodes).toSorted()).toEqual(['h1', 'h2', 'h3', 'h4', 'h5'])
    expect(nodes['h5']?.Spec.Labels).toEqual({
      ...{ role: 'web', disk: 'ssd', owner: 'ben' },
      ...{ 'fleet.machine': 'h5', 'fleet.labels': 'disk,role' },
    })
    expect([nodes['h3']?.Spec.Role, nodes['h4']?.Spec.Role]).toEqual(['worker', 'manager'])
    expect(await onHost(lab.hosts[5], 'docker info -f {{.Swarm.LocalNodeState}}')).toBe('inactive')
    expect(await planOf()).toEqual(nothingToDo)
  })

  test('ends in the same cluster when apply is killed at any step', async () => {
    Object.assign(labels, {
      ...{ h3: { role: 'web' }, h4: { role: 'manager' }, h6: { role: 'none' } },
    })
    await save()
    for (const step of ['initialize the swarm', 'record the ID']) {
      if (id === undefined) await applyUntil(step)
    }
    await ok('apply --yes --timeout 60')
    // In each turn, the steps in the order in which they come.
    const turns = [
      {
        change: { h6: { role: 'web' }, h3: { role: 'manager' }, h4: { role: 'web' } },
        steps: [
          ...['promote it to a manager', 'wait until it is reachable as a manager'],
          ...['find its address', 'join the swarm', 'wait until it is a node', 'set node labels'],
          'demote it to a worker',
        ],
      },
      {
        change: { h6: { role: 'manager' }, h3: { role: 'none' } },
        steps: [
          ...[
            'demote it to a worker',
            'drain it',
            'leave the swarm',
            'wait until the node is down',
          ],
          'remove the node',
        ],
      },
    ]
    for (const { change, steps } of turns) {
      Object.assign(labels, change)
      await save()
      const killed: string[] = []
      for (const step of steps) if (await applyUntil(step)) killed.push(step)
      await ok('apply --yes --timeout 60')
      expect(await planOf()).toEqual(nothingToDo)
      // What a killed apply has asked for, the engines may have done: then the step does not come again.
      expect(killed.length).toBeGreaterThanOrEqual(steps.length - 2)
    }
    const nodes = await nodesOn(lab.hosts[0])
    expect(Object.keys(nodes).toSorted()).toEqual(['h1', 'h2', 'h4', 'h5', 'h6'])
    const managers = Object.keys(nodes).filter((name) => nodes[name]?.Spec.Role === 'manager')
    expect(managers.toSorted()).toEqual(['h1', 'h2', 'h6'])
  })
})
