import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import type { ProviderThing } from '../../../src/drivers/conformance/index.ts'
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

/** What a driver can do wrong. */
export type Fault =
  | 'plan makes a key'
  | 'looks for nothing before it makes'
  | 'forgets an orphaned server'
  | 'records nothing'
  | 'records no id'
  | 'goes on when it cannot record'
  | 'tags nothing'
  | 'tells nothing'
  | 'leaves keys behind'
  | 'removes the whole fleet'
  | 'fails for what is gone'
  | 'lists all fleets'
  | 'takes gone for running'
  | 'hangs when it is aborted'
  | 'makes a host though it is aborted'
  | 'stops only what runs'
  | 'always wants a key'
  | 'recalls what is gone'
  | 'removes what somebody else made'
  | 'switches what somebody else made'
  | 'takes any record'

interface Thing extends ProviderThing {
  readonly kind: 'key' | 'server'
  state: 'running' | 'stopped'
}

/** A driver that does `fault`, on a provider of its own; `look` shows what there is. */
export function makeFaultyDriver(fault?: Fault): {
  definition: DriverDefinition
  look: () => Promise<readonly ProviderThing[]>
} {
  const things = new Map<string, Thing>()
  let last = 0
  const has = (one: Fault): boolean => one === fault

  async function ask(signal: AbortSignal): Promise<void> {
    if (has('hangs when it is aborted')) await sleep(signal.aborted ? 10_000 : 1)
    else if (has('makes a host though it is aborted')) await sleep(1)
    else await sleep(1, undefined, { signal })
  }

  async function make(
    kind: Thing['kind'],
    { tags }: HostSpec,
    signal: AbortSignal,
  ): Promise<Thing> {
    await ask(signal)
    const thing = { id: `${kind}-${++last}`, kind, tags: has('tags nothing') ? {} : tags }
    const made: Thing = { ...thing, state: 'running' }
    things.set(made.id, made)
    hidden.set(made.id, tags)
    return made
  }
  /** What the driver knows things by, where it leaves the tags out. */
  const hidden = new Map<string, HostSpec['tags']>()

  async function find(tag: string, value: string, signal: AbortSignal): Promise<Thing[]> {
    await ask(signal)
    return [...things.values()].filter(({ id }) => hidden.get(id)?.[tag] === value)
  }

  async function makeHost(wish: HostSpec, seed: BootstrapData, call: Call) {
    const { signal } = call
    if (has('always wants a key') && seed.publicKey === '') throw new Error('no public key')
    const known = has('looks for nothing before it makes')
      ? []
      : await find('fleet:token', wish.token, signal)
    if (!has('tells nothing')) call.progress('create a key')
    const record: BootstrapData['record'] = async (made) => {
      if (has('records nothing')) return
      const recorded = seed.record(has('records no id') ? { resources: { note: 'x' } } : made)
      await (has('goes on when it cannot record') ? recorded.catch(() => {}) : recorded)
    }
    const key = known.find(({ kind }) => kind === 'key') ?? (await make('key', wish, signal))
    await record({ resources: { key: key.id } })
    const server =
      known.find(
        ({ kind, id }) =>
          kind === 'server' && (!has('forgets an orphaned server') || id === wish.id),
      ) ?? (await make('server', wish, signal))
    await record({ id: server.id })
    if (!has('tells nothing')) call.progress('wait for it')
    await ask(signal)
    return { id: server.id, address: '192.0.2.1', user: 'u' }
  }

  const serverOf = async ({ id = '', token }: HostRecord, { signal }: Call): Promise<Thing> => {
    await ask(signal)
    const found = things.get(id)
    const isOwn = token === undefined || hidden.get(id)?.['fleet:token'] === token
    if (found === undefined || !(isOwn || has('switches what somebody else made'))) {
      throw new UserError('failed', 'gone')
    }
    return found
  }
  const switchTo = (state: Thing['state']) => async (host: HostRecord, call: Call) => {
    const server = await serverOf(host, call)
    if (has('stops only what runs') && server.state === state) throw new Error(`it is ${state}`)
    server.state = state
  }

  const load = async (): Promise<Driver> => ({
    async describeExisting(id, _options, { signal }) {
      await ask(signal)
      if (!things.has(id) && !has('recalls what is gone')) throw new UserError('usage', 'gone')
      return { id, address: '192.0.2.1', user: 'u' }
    },
    lifecycle: {
      async plan(wish, _options, { signal }) {
        const found = await find('fleet:token', wish.token, signal)
        if (has('plan makes a key')) await make('key', wish, signal)
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
        if (has('removes what somebody else made')) things.delete(id ?? '')
        const own = await find('fleet:token', token, signal)
        if (has('fails for what is gone') && own.length === 0) throw new Error('it is gone')
        const fleet = hidden.get(own[0]?.id ?? '')?.['fleet:id'] ?? ''
        const all = has('removes the whole fleet') ? await find('fleet:id', fleet, signal) : own
        for (const { id, kind } of all) {
          if (!has('leaves keys behind') || kind === 'server') things.delete(id)
        }
      },
      async list({ id }, { signal }) {
        const found = has('lists all fleets')
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
            state: things.get(id)?.state ?? (has('takes gone for running') ? 'running' : 'absent'),
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
    definition: has('takes any record') ? { ...definition, load } : definition,
    look: async () => [...things.values()],
  }
}
