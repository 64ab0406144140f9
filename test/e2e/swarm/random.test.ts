import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { labIsHere } from '../../support/lab/lab.ts'
import { SwarmLab, nothingToDo } from '../../support/lab/swarm-lab.ts'

/** `FLEET_TEST_STEPS=100 FLEET_TEST_SEED=3` runs a different, longer sequence. */
const count = Number(process.env['FLEET_TEST_STEPS'] ?? 6)
const seed = Number(process.env['FLEET_TEST_SEED'] ?? 5)

/** Returns a generator of numbers from 0 to 1, determined by its seed (a linear congruential generator). */
function randomFrom(start: number): () => number {
  let state = start >>> 0
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  for (let index = 0; index < 8; index += 1) next()
  return next
}

describe.skipIf(!labIsHere)('a swarm after random changes', () => {
  let swarm: SwarmLab
  const random = randomFrom(seed)
  const pick = <Item>(items: readonly Item[]): Item | undefined =>
    items[Math.floor(random() * items.length)]
  /** The machines of the inventory, with their roles. */
  const roles = new Map<string, string>()
  const stopped = new Set<string>()
  const killed = new Set<string>()
  const log: string[] = []

  const isUp = (name: string): boolean => !stopped.has(name) && !killed.has(name)

  /**
   * Resolves to the nodes that a running manager lists, keyed by host, once a leader has been elected (hosts may have
   * stopped).
   */
  async function nodes(): ReturnType<SwarmLab['nodes']> {
    const from = [...roles.keys()].filter(isUp)
    let found: Awaited<ReturnType<SwarmLab['nodes']>> = {}
    const list = async (): Promise<number> => {
      for (const name of from) {
        found = await swarm.nodes(name).catch(() => ({}))
        if (Object.keys(found).length > 0) break
      }
      return Object.keys(found).length
    }
    await expect.poll(list, { timeout: 60_000, message: log.join('\n') }).toBeGreaterThan(0)
    return found
  }

  /** Resolves to the role, availability and state of each node, keyed by host. */
  const described = async (): Promise<object> =>
    Object.fromEntries(
      Object.entries(await nodes()).map(([name, { Spec, Status }]) => [
        name,
        `${Spec.Role} ${Spec.Availability} ${Status.State}`,
      ]),
    )

  /** Runs a fleet command, which may be refused. Resolves to whether it succeeded. */
  async function fleet(line: string): Promise<boolean> {
    const { code, stderr } = await swarm.ana.fleet(line.split(' '))
    log.push(`fleet ${line}: ${code}${code === 0 ? '' : ` ${stderr.split('\n')[0]}`}`)
    expect({ isKnown: code === 0 || code === 1, log }).toEqual({ isKnown: true, log })
    return code === 0
  }

  /** Returns the machines whose roles change. h5 remains a worker, because the plan reports a swarm without workers. */
  const changing = (): readonly string[] => [...roles.keys()].filter((name) => name !== 'h5')

  const apply = () => fleet('apply --yes --timeout 60')

  /** Resolves to whether most managers would still be running if the host `name` lost power. */
  async function canLose(name: string): Promise<boolean> {
    const managers = Object.entries(await nodes()).filter(([, { ManagerStatus }]) => ManagerStatus)
    const left = managers.filter(
      ([one, { ManagerStatus }]) => one !== name && ManagerStatus?.Reachability === 'reachable',
    )
    return left.length > managers.length / 2
  }

  /** Returns whether the inventory has a running manager besides the machine `name`. */
  const hasOtherManager = (name: string): boolean =>
    [...roles].some(([one, role]) => one !== name && role === 'manager' && isUp(one))

  const steps: readonly (() => Promise<void>)[] = [
    async () => {
      const name = pick(changing().filter(isUp))
      const role = pick(['manager', 'manager', 'web', 'web', 'none'])
      if (name === undefined || role === undefined) return
      if (role !== 'manager' && !hasOtherManager(name)) return
      await fleet(`label ${name} role=${role} rack=${pick(['1', '2'])}`)
      roles.set(name, role)
      await apply()
    },
    async () => {
      const name = pick([...roles.keys()].filter(isUp))
      if (name !== undefined && (await fleet(`stop ${name} --drain-timeout 60`))) stopped.add(name)
    },
    async () => {
      const name = pick([...stopped])
      if (name !== undefined && (await fleet(`start ${name}`))) stopped.delete(name)
    },
    async () => {
      const name = pick([...roles.keys()].filter(isUp))
      if (name === undefined || !(await canLose(name))) return
      log.push(`${name} loses its power`)
      await swarm.host(name).kill()
      killed.add(name)
    },
    async () => {
      const name = pick([...killed])
      if (name === undefined) return
      log.push(`${name} has power again`)
      await swarm.host(name).start()
      killed.delete(name)
    },
    async () => {
      const name = pick([...roles.keys()].filter(isUp))
      if (name !== undefined) await fleet(`restart ${name}`)
    },
    async () => {
      const name = pick(changing())
      if (name === undefined || roles.size <= 3 || !hasOtherManager(name)) return
      if (!(await fleet(`rm --yes ${name}`))) return
      for (const names of [roles, stopped, killed]) names.delete(name)
    },
  ]

  beforeAll(async () => {
    const labels = { h1: 'manager', h2: 'manager', h3: 'manager', h4: 'web', h5: 'web' }
    for (const [name, role] of Object.entries(labels)) roles.set(name, role)
    const entries = Object.entries(labels).map(([name, role]) => [name, { role }] as const)
    swarm = await SwarmLab.start(Object.fromEntries(entries), { power: true })
    await swarm.ok('apply --yes --timeout 60')
  })
  afterAll(() => swarm?.[Symbol.asyncDispose]())

  test(`keeps its quorum, and matches the inventory (seed ${seed}, ${count} steps)`, async () => {
    for (let index = 0; index < count; index += 1) {
      // Every other step is a label change.
      const step = index % 2 === 0 ? steps[0] : pick(steps.slice(1))
      await step?.()
      await nodes()
    }
    for (const name of killed) await swarm.host(name).start()
    killed.clear()
    for (const name of stopped) if (await fleet(`start ${name}`)) stopped.delete(name)
    // Engines that have just restarted may not be nodes yet.
    const isDone = async (): Promise<boolean> => (await apply()) && (await swarm.plan()).code === 0
    for (let round = 0; round < 5; round += 1) if (await isDone()) break
    expect({ ...(await swarm.plan()), log }).toEqual({ ...nothingToDo, log })
    const wanted = [...roles]
      .filter(([, role]) => role !== 'none')
      .map(([name, role]) => [name, `${role === 'manager' ? role : 'worker'} active ready`])
    // A newly elected leader does not know the state of the nodes yet.
    await expect
      .poll(described, { timeout: 60_000, message: log.join('\n') })
      .toEqual(Object.fromEntries(wanted))
  })
})
