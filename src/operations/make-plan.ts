import type { Machine, ReadyMachine } from '../machine/machine.ts'
import type { LetIn } from '../provision/authorized-keys.ts'
import type { HostProbe } from '../provision/host-probe.ts'
import type { Inventory } from '../state/inventory.ts'
import { askProviders } from './ask-providers.ts'
import type { Change, ChangePlan, Drift, Matter } from './change-plan.ts'
import { digestInventory } from './change-plan.ts'
import { findOrphans } from './collect-garbage.ts'
import type { Context, Progress } from './context.ts'
import { fanOut } from './fan-out.ts'
import { operatorsOf, readOperators } from './let-operators-in.ts'
import { observedFacts } from './observed-facts.ts'
import { probeHost } from './probe-host.ts'

/** How a plan is made. */
export interface PlanOptions {
  /** Asks providers, and connects to no host. */
  readonly providersOnly?: boolean
  /** How long a host may take to answer, in milliseconds. */
  readonly timeoutMs: number
  readonly progress: Progress
}

/** What was found of one machine. */
interface Finding {
  readonly changes?: readonly Change[]
  readonly drift?: readonly Drift[]
  readonly matters?: readonly Matter[]
}

/** How many hosts are looked at once: with more, this computer would keep them from answering in time. */
const concurrency = 128

/** What is to be done where there is no host yet, or where that was cut short. */
function planUnready(inventory: Inventory, machine: Machine, makesHosts: boolean): Finding {
  const { name, host } = machine
  if (host?.phase === 'removing') {
    const why = 'its removal was begun and cut short'
    if (!machine.protected) return { changes: [{ machine: name, action: 'remove', why }] }
    return { matters: [{ machine: name, why: `${why}; protected`, hint: `fleet rm ${name}` }] }
  }
  const why = host === undefined ? 'it is not there yet' : 'its creation was begun and cut short'
  if (makesHosts) return { changes: [{ machine: name, action: 'create', why }] }
  const wanted = machine.driver === 'local' ? [] : operatorsOf(inventory, machine)
  const letsIn = planOperators(machine, wanted, [])
  return { changes: [{ machine: name, action: 'adopt', why }, ...letsIn] }
}

const lacks = (some: readonly LetIn[], key: string): boolean =>
  !some.some((other) => other.key === key)

/** The change that makes a host let in whom it should; none where it does. */
function planOperators(
  { name }: Machine,
  wanted: readonly LetIn[],
  there: readonly LetIn[],
): readonly Change[] {
  const added = wanted.filter(({ key }) => lacks(there, key)).map((one) => `let in ${one.name}`)
  const revoked = there.filter(({ key }) => lacks(wanted, key)).map((one) => `revoke ${one.name}`)
  const why = [...added, ...revoked].join(', ')
  return why === '' ? [] : [{ machine: name, action: 'operators', why }]
}

/** What is remembered of a host and is another way now. */
function findDrift({ name, host }: ReadyMachine, address: string | undefined, probe: HostProbe) {
  const { os, arch, engine } = observedFacts(probe)
  const seen = { address, os, arch, engine: engine ?? (host.engine && 'none answers') }
  return (['address', 'os', 'arch', 'engine'] as const).flatMap((field): Drift[] => {
    const [remembered, now] = [host[field], seen[field]]
    if (now === undefined || now === remembered) return []
    return [{ machine: name, field, ...(remembered !== undefined && { remembered }), seen: now }]
  })
}

/** An engine that is there is never changed; that another one is wanted is told. */
function findEngineMatter({ name, engine }: Machine, seen: string | undefined): readonly Matter[] {
  const wanted = typeof engine === 'object' ? engine.version : undefined
  if (wanted === undefined || seen === undefined) return []
  if (seen === wanted || seen.startsWith(`${wanted}.`)) return []
  return [{ machine: name, why: `engine ${wanted} is wanted, and ${seen} is there` }]
}

/** Of a host that fleet did not make, the entry says where it is; somebody may have changed that since. */
function findAddressMatter({ name, options, host }: ReadyMachine): readonly Matter[] {
  const said = options?.['address']
  if (typeof said !== 'string' || host.address === undefined || said === host.address) return []
  return [
    {
      machine: name,
      why: `its entry says address ${said}, and ${host.address} is on record`,
      hint: 'if it is the same host, change the address under host: too',
    },
  ]
}

/** Looks at a host that should run, at the address that its provider gives now. */
async function lookAt(
  context: Context,
  inventory: Inventory,
  { host, ...machine }: ReadyMachine,
  address: string | undefined,
): Promise<Finding> {
  const now = { ...machine, host: { ...host, ...(address !== undefined && { address }) } }
  const { signal } = context
  const transport = await context.connect(now)
  const target = { machine: machine.name, transport, socket: host.socket, signal }
  const probe = await probeHost(target)
  const place = { fleet: inventory.id, machine: now, signal }
  const isRemote = now.host.address !== undefined
  const there = isRemote ? await readOperators(transport, place) : []
  const wanted = isRemote ? operatorsOf(inventory, now) : []
  return {
    changes: planOperators(now, wanted, there),
    drift: findDrift({ ...machine, host }, now.host.address, probe),
    matters: findEngineMatter(now, probe.engine?.version),
  }
}

/** Compares the entry, the record and the world, for one machine. */
async function examine(
  context: Context,
  inventory: Inventory,
  machine: Machine,
  ask: ReturnType<typeof askProviders>,
  { providersOnly = false }: PlanOptions,
): Promise<Finding> {
  const { name, host } = machine
  const driver = await context.loadDriver(machine.driver)
  if (host?.phase !== 'ready') {
    return planUnready(inventory, machine, driver.lifecycle !== undefined)
  }
  const status = await ask(machine)
  switch (status.state) {
    case 'paused':
    case 'stopped': {
      const why = `it is ${status.state}`
      return driver.power === undefined
        ? { matters: [{ machine: name, why }] }
        : { changes: [{ machine: name, action: 'start', why }] }
    }
    case 'absent':
      return {
        matters: [
          {
            machine: name,
            why: 'its host does not exist any more',
            hint: `take its entry away: fleet rm ${name}`,
          },
        ],
      }
    case 'starting':
    case 'stopping':
      return { matters: [{ machine: name, why: `it is ${status.state}` }] }
    case 'running':
    case 'unknown':
    case 'unasked': {
      const unasked = status.state === 'unasked' && status.why !== undefined ? status.why : ''
      const matters = [
        ...(unasked === '' ? [] : [{ machine: name, why: unasked }]),
        ...findAddressMatter({ ...machine, host }),
      ]
      const address = 'address' in status ? status.address : undefined
      if (providersOnly) {
        const moved = address !== undefined && address !== host.address
        const { address: remembered } = host
        const drift: Drift = {
          ...{ machine: name, field: 'address', seen: address ?? '' },
          ...(remembered !== undefined && { remembered }),
        }
        return { matters, drift: moved ? [drift] : [] }
      }
      const found = await lookAt(context, inventory, { ...machine, host }, address)
      return { ...found, matters: [...matters, ...(found.matters ?? [])] }
    }
  }
}

/** What was made for this fleet and no entry owns. That it cannot be looked for is a matter too. */
async function orphanMatters(context: Context, progress: Progress): Promise<readonly Matter[]> {
  try {
    const orphans = await findOrphans(context, undefined, progress)
    return orphans.map(({ machine, parts }) => ({
      machine,
      why: `no entry owns what was made for it: ${parts.join(', ')}`,
      hint: 'fleet gc',
    }))
  } catch (error) {
    context.signal.throwIfAborted()
    return [{ machine: '', why: `could not look for what no entry owns: ${String(error)}` }]
  }
}

/**
 * Compares what the inventory wants, what it remembers, and the world, and says what is to be done. Providers are asked
 * once each, for all of their machines. Changes nothing.
 */
export async function makePlan(context: Context, options: PlanOptions): Promise<ChangePlan> {
  const inventory = await (await context.inventory()).read()
  const machines = [...inventory.machines.values()]
  const ask = askProviders(context, machines)
  const { progress, timeoutMs } = options
  const orphans = orphanMatters(context, progress)
  const findings = new Map<string, Finding>()
  progress('compare the inventory with the world')
  const { signal } = context
  const work = (machine: Machine, stop: AbortSignal): Promise<Finding> =>
    examine({ ...context, signal: stop }, inventory, machine, ask, options)
  for await (const outcome of fanOut(machines, work, { signal, concurrency, timeoutMs })) {
    const { name } = outcome.machine
    findings.set(
      name,
      'error' in outcome
        ? { matters: [{ machine: name, why: outcome.error.message }] }
        : outcome.value,
    )
    progress('compare the inventory with the world', `${findings.size} of ${machines.length}`)
  }
  const all = machines.flatMap(({ name }) => findings.get(name) ?? [])
  return {
    version: 1,
    inventory: digestInventory(inventory),
    changes: all.flatMap(({ changes = [] }) => changes),
    drift: all.flatMap(({ drift = [] }) => drift),
    matters: [...all.flatMap(({ matters = [] }) => matters), ...(await orphans)],
  }
}
