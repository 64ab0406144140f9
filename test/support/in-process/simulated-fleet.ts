import { setImmediate } from 'node:timers/promises'
import { expect } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import type { Machine } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { createClock } from '../../../src/operations/clock.ts'
import type { Context } from '../../../src/operations/context.ts'
import { applySwarmChange } from '../../../src/operations/swarm/apply/apply-swarm.ts'
import type { Interruption } from '../../../src/operations/swarm/guard-machines.ts'
import { Members, activateMember } from '../../../src/operations/swarm/interrupt-members.ts'
import { inPhases } from '../../../src/operations/swarm/plan-members.ts'
import { planSwarms } from '../../../src/operations/swarm/plan-swarms.ts'
import type { InventoryStore } from '../../../src/state/inventory/inventory.ts'
import { openMemoryInventory } from '../inventory/memory-inventory.ts'
import { SimulatedEngines } from './simulated-swarm.ts'

/** Returns a generator of numbers from 0 to 1, determined by its seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const names = ['a', 'b', 'c', 'd', 'e', 'f']
const roles = ['manager', 'manager', 'web', 'none'] as const

/**
 * A fleet of simulated machines, of which those with the label `role=manager` or `role=web` form a swarm. Tests that
 * use it mock os/retry.ts with simulated-retry.ts, and host-networks.ts with simulated-networks.ts.
 */
export class SimulatedFleet {
  readonly random: () => number
  readonly engines: SimulatedEngines
  store: InventoryStore
  readonly #shared: Context
  readonly log: string[] = []
  signal = new AbortController().signal
  /** Whether the cluster may lose its quorum, because several managers restart or the whole swarm is stopped. */
  #mayLose = false
  #had = false

  constructor(seed: number) {
    this.random = randomFrom(seed)
    this.engines = new SimulatedEngines(names, this.random)
    this.engines.onChange = (change) => this.check(change)
    const machines = names.map((name, index) => [
      name,
      {
        driver: 'ssh',
        labels: { role: index < 3 ? 'manager' : 'web' },
        host: { phase: 'ready' as const, address: this.engines.host(name).address, user: 'root' },
      },
    ])
    this.store = openMemoryInventory(Object.fromEntries(machines), {
      swarms: { prod: { managers: 'role=manager', workers: 'role=web' } },
    })
    const shared = {
      ...{ clock: createClock(), env: {} },
      with: (change: Partial<Context>) => ({ ...this.context, ...change }),
      inventory: async () => this.store,
      loadDriver: async () => ({}),
      engine: async ({ name }: Machine) => this.engines.engine(name),
      connect: async ({ name }: Machine) => this.engines.transport(name),
    }
    this.#shared = shared as unknown as Context
  }

  get context(): Context {
    return { ...this.#shared, signal: this.signal }
  }

  get #calls() {
    return { signal: this.signal, progress: () => {}, drainMs: 1000 }
  }

  /** Throws if fleet has made a cluster lose its quorum. */
  check(change: string): void {
    const [cluster] = this.engines.clusters
    if (cluster === undefined) return
    const has = this.engines.hasQuorum(cluster)
    if (this.#had && !has && !this.#mayLose) throw new Error(`lost the quorum: ${change}`)
    this.#had = has
  }

  /** Applies changes until `signal` aborts it. Inventory writes also count as steps of the engines. */
  async applyUntilKilled(signal: AbortSignal): Promise<void> {
    const { engines, store, signal: before } = this
    this.signal = signal
    this.store = {
      ...store,
      async updateSwarm(name, change) {
        engines.onStep()
        await store.updateSwarm(name, change)
        engines.onStep()
      },
    }
    try {
      await this.apply()
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.signal = before
      this.store = store
    }
  }

  /** Switches a host on or off without using fleet. */
  switch(name: string, isUp: boolean): void {
    this.log.push(`${name} is ${isUp ? 'up' : 'down'}`)
    this.engines.host(name).isUp = isUp
    const [cluster] = this.engines.clusters
    this.#had = cluster !== undefined && this.engines.hasQuorum(cluster)
  }

  async machines(): Promise<readonly Machine[]> {
    return [...(await this.store.read()).machines.values()]
  }

  pick<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.random() * items.length)]
  }

  async edit(name: string, change: Readonly<Record<string, unknown>>): Promise<void> {
    await this.store.update(name as MachineName, (entry) =>
      entry === undefined
        ? undefined
        : (Object.fromEntries(
            Object.entries({ ...entry, ...change }).filter(([, value]) => value !== undefined),
          ) as typeof entry),
    )
  }

  /** Plans and applies changes. Resolves to the number of planned changes. */
  async apply(): Promise<number> {
    const inventory = await this.store.read()
    const down = [...inventory.machines.values()].filter(
      ({ name }) => !this.engines.host(name).isUp,
    )
    const unreachable = new Map(
      down.map(({ name }) => [name as string, new UserError('unreachable', `${name} is down`)]),
    )
    const options = { changes: [], unreachable, timeoutMs: 1000, progress: () => {} }
    const { swarms, issues } = await planSwarms(this.context, inventory, options)
    this.log.push(`plan: ${swarms.map(({ action, machine }) => `${action} ${machine}`).join(', ')}`)
    for (const { why } of issues) this.log.push(`  ? ${why}`)
    for (const phase of inPhases(swarms)) {
      for (const change of phase) {
        this.engines.schedule()
        await applySwarmChange(this.context, change, this.#calls)
      }
    }
    return swarms.length
  }

  /** Stops, restarts or removes machines as the commands do. */
  async interrupt(machines: readonly Machine[], interruption: Interruption): Promise<void> {
    this.log.push(`${interruption} ${machines.map(({ name }) => name).join(' ')}`)
    const interrupted = machines.map((machine) => ({ machine, interruption }))
    await using members = await Members.open(this.context, interrupted, { drainMs: 1000 })
    const [cluster] = this.engines.clusters
    const nodes = [...(cluster?.nodes.values() ?? [])]
    const isWhole = nodes.every(({ host }) => machines.some(({ name }) => name === host.name))
    this.#mayLose = isWhole || (interruption === 'restart' && (cluster?.raft.size ?? 0) <= 2)
    const off = (machine: Machine): void => {
      const host = this.engines.host(machine.name)
      const { node } = host.membership ?? {}
      const tasks = cluster?.tasks.get(node ?? '') ?? 0
      const isKnown = cluster?.nodes.has(node ?? '') === true
      if (host.isUp && isKnown && tasks > 0 && !isWhole) throw new Error('its tasks still run')
      host.isUp = false
      this.check(`${interruption} ${machine.name}`)
    }
    const results = await Promise.allSettled(
      machines.map(async (machine) => {
        if (interruption === 'leave') {
          await members.leave(machine, this.#calls)
          await this.store.update(machine.name, () => undefined)
          off(machine)
        } else if (interruption === 'restart') {
          await members.restart(machine, this.#calls, async () => {
            off(machine)
            await setImmediate()
            this.engines.host(machine.name).isUp = true
            this.check('restarted')
          })
        } else {
          await members.stop(machine, this.#calls, async () => {
            await this.edit(machine.name, { stopped: true })
            off(machine)
          })
        }
      }),
    )
    this.#mayLose = false
    const failure = results.find((result) => result.status === 'rejected')
    if (failure !== undefined) throw failure.reason
    if (interruption !== 'restart' || isWhole) return
    const drained = nodes.filter(({ spec }) => 'fleet.drained' in spec.Labels)
    expect(drained.filter(({ host }) => machines.some(({ name }) => name === host.name))).toEqual(
      [],
    )
  }

  /** Resolves to the nodes that the inventory describes, keyed by host. */
  async wanted(): Promise<Record<string, object>> {
    const members = (await this.machines()).filter(({ labels = {} }) => labels['role'] !== 'none')
    return Object.fromEntries(
      members.map(({ name, labels = {} }) => [
        name,
        {
          ...{ Role: labels['role'] === 'manager' ? 'manager' : 'worker', Availability: 'active' },
          Labels: {
            ...labels,
            'fleet.machine': name,
            'fleet.labels': Object.keys(labels).toSorted().join(','),
          },
        },
      ]),
    )
  }

  /** Performs one random step. A UserError is expected; any other error is a bug. */
  async step(): Promise<void> {
    const machines = await this.machines()
    const up = machines.filter(({ name }) => this.engines.host(name).isUp)
    const one = this.pick(machines)
    if (one === undefined) return
    const kind = Math.floor(this.random() * 10)
    this.engines.schedule()
    if (kind < 3) {
      const labels = { role: this.pick(roles) ?? 'web', rack: this.pick(['1', '2']) ?? '1' }
      await this.edit(one.name, { labels })
      this.log.push(`label ${one.name} ${labels.role}`)
      await this.apply()
    } else if (kind === 3) await this.apply()
    else if (kind === 4) this.switch(one.name, false)
    else if (kind === 5) {
      if (one.stopped === true) return
      this.switch(one.name, true)
    } else if (kind === 6) {
      this.switch(one.name, true)
      await this.edit(one.name, { stopped: undefined })
      await activateMember(this.context, one, this.#calls)
    } else {
      const count = 1 + Math.floor(this.random() * 3)
      const chosen = up.filter(() => this.random() < count / 4)
      const others = chosen.length < machines.length - 1
      if (chosen.length === 0 || !others) return
      await this.interrupt(chosen, (['fail', 'restart', 'leave'] as const)[kind - 7] ?? 'fail')
    }
  }
}
