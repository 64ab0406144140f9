import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import type { ProviderResource } from '../../../src/drivers/conformance/index.ts'
import {
  type Call,
  type Driver,
  type DriverDefinition,
  type BootstrapData,
  type HostSpec,
  defineDriver,
} from '../../../src/drivers/driver.ts'
import { UserError } from '../../../src/errors.ts'
import type { HostRecord } from '../../../src/machine/machine.ts'

/** Defects that the driver can have. */
export type Fault =
  | 'creates a key in plan'
  | 'does not look for existing resources'
  | 'forgets an orphaned server'
  | 'records nothing'
  | 'records no ID'
  | 'continues when it cannot record'
  | 'does not tag its resources'
  | 'reports no steps'
  | 'leaves keys behind'
  | 'removes the whole fleet'
  | 'fails to remove a deleted host'
  | 'lists the hosts of all fleets'
  | 'reports deleted hosts as running'
  | 'hangs after an abort'
  | 'creates a host after an abort'
  | 'fails to stop a stopped host'
  | 'always requires a public key'
  | 'describes a deleted host'
  | 'removes resources of others'
  | 'starts and stops hosts of others'
  | 'accepts any record'

interface Thing extends ProviderResource {
  readonly kind: 'key' | 'server'
  state: 'running' | 'stopped'
}

/** Returns a driver with the defect `fault`, and a function that lists the resources at its in-memory provider. */
export function makeFaultyDriver(fault?: Fault): {
  definition: DriverDefinition
  listResources: () => Promise<readonly ProviderResource[]>
} {
  const things = new Map<string, Thing>()
  let last = 0
  const has = (one: Fault): boolean => one === fault

  async function ask(signal: AbortSignal): Promise<void> {
    if (has('hangs after an abort')) await sleep(signal.aborted ? 10_000 : 1)
    else if (has('creates a host after an abort')) await sleep(1)
    else await sleep(1, undefined, { signal })
  }

  async function make(
    kind: Thing['kind'],
    { tags }: HostSpec,
    signal: AbortSignal,
  ): Promise<Thing> {
    await ask(signal)
    const thing = {
      id: `${kind}-${++last}`,
      kind,
      tags: has('does not tag its resources') ? {} : tags,
    }
    const made: Thing = { ...thing, state: 'running' }
    things.set(made.id, made)
    hidden.set(made.id, tags)
    return made
  }
  /** The tags of all resources, even if the driver sets none on them. */
  const hidden = new Map<string, HostSpec['tags']>()

  async function find(tag: string, value: string, signal: AbortSignal): Promise<Thing[]> {
    await ask(signal)
    return [...things.values()].filter(({ id }) => hidden.get(id)?.[tag] === value)
  }

  async function makeHost(wish: HostSpec, seed: BootstrapData, call: Call) {
    const { signal } = call
    if (has('always requires a public key') && seed.publicKey === '')
      throw new Error('no public key')
    const known = has('does not look for existing resources')
      ? []
      : await find('fleet:token', wish.token, signal)
    if (!has('reports no steps')) call.progress('create a key')
    const record: BootstrapData['record'] = async (made) => {
      if (has('records nothing')) return
      const recorded = seed.record(has('records no ID') ? { resources: { note: 'x' } } : made)
      await (has('continues when it cannot record') ? recorded.catch(() => {}) : recorded)
    }
    const key = known.find(({ kind }) => kind === 'key') ?? (await make('key', wish, signal))
    await record({ resources: { key: key.id } })
    const server =
      known.find(
        ({ kind, id }) =>
          kind === 'server' && (!has('forgets an orphaned server') || id === wish.id),
      ) ?? (await make('server', wish, signal))
    await record({ id: server.id })
    if (!has('reports no steps')) call.progress('wait for it')
    await ask(signal)
    return { id: server.id, address: '192.0.2.1', user: 'u' }
  }

  const serverOf = async ({ id = '', token }: HostRecord, { signal }: Call): Promise<Thing> => {
    await ask(signal)
    const found = things.get(id)
    const isOwn = token === undefined || hidden.get(id)?.['fleet:token'] === token
    if (found === undefined || !(isOwn || has('starts and stops hosts of others'))) {
      throw new UserError('failed', 'gone')
    }
    return found
  }
  const switchTo = (state: Thing['state']) => async (host: HostRecord, call: Call) => {
    const server = await serverOf(host, call)
    if (has('fails to stop a stopped host') && server.state === state)
      throw new Error(`it is ${state}`)
    server.state = state
  }

  const load = async (): Promise<Driver> => ({
    async describeExisting(id, _options, { signal }) {
      await ask(signal)
      if (!things.has(id) && !has('describes a deleted host')) throw new UserError('usage', 'gone')
      return { id, address: '192.0.2.1', user: 'u' }
    },
    lifecycle: {
      async plan(wish, _options, { signal }) {
        const found = await find('fleet:token', wish.token, signal)
        if (has('creates a key in plan')) await make('key', wish, signal)
        return {
          resources: { zone: 'z' },
          user: 'u',
          userData: { maxBytes: 1000, gzip: true },
          notes: [],
          exists: found.some(({ kind }) => kind === 'server'),
          make: (seed, call) => makeHost(wish, seed, call),
        }
      },
      async remove({ token = '', id }, { signal }) {
        if (has('removes resources of others')) things.delete(id ?? '')
        const own = await find('fleet:token', token, signal)
        if (has('fails to remove a deleted host') && own.length === 0) throw new Error('it is gone')
        const fleet = hidden.get(own[0]?.id ?? '')?.['fleet:id'] ?? ''
        const all = has('removes the whole fleet') ? await find('fleet:id', fleet, signal) : own
        for (const { id, kind } of all) {
          if (!has('leaves keys behind') || kind === 'server') things.delete(id)
        }
      },
      async list({ id }, { signal }) {
        const found = has('lists the hosts of all fleets')
          ? [...things.values()]
          : await find('fleet:id', id, signal)
        return found
          .filter(({ kind }) => kind === 'server')
          .map((server) => {
            const { 'fleet:token': token = '', 'fleet:machine': machine = '' } =
              hidden.get(server.id) ?? {}
            const record: HostRecord = { phase: 'ready', token, id: server.id }
            return { token, machine, record, parts: [server.id] }
          })
      },
    },
    power: {
      start: switchTo('running'),
      stop: switchTo('stopped'),
      kill: switchTo('stopped'),
      restart: switchTo('running'),
    },
    async observe(hosts, { signal }) {
      if (hosts.size > 0) await ask(signal)
      return new Map(
        [...hosts].map(([name, { id = '' }]) => [
          name,
          {
            state:
              things.get(id)?.state ??
              (has('reports deleted hosts as running') ? 'running' : 'absent'),
          },
        ]),
      )
    },
  })
  const definition = defineDriver({
    name: 'faulty',
    summary: 'hosts that exist in memory alone',
    options: z.strictObject({}),
    load,
  })
  return {
    definition: has('accepts any record') ? { ...definition, load } : definition,
    listResources: async () => [...things.values()],
  }
}
