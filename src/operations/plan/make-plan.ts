import type { UserError } from '../../errors.ts'
import { checkOptions } from '../../drivers/options/option-flags.ts'
import type { Machine, ReadyMachine, HostStatus } from '../../machine/machine.ts'
import { exceededCount } from '../../machine/profiles.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import { type ProviderAnswer, askProviders } from '../machine/ask-providers.ts'
import {
  type Change,
  type ChangePlan,
  type Drift,
  type PlanPart,
  type Issue,
  digestInventory,
  issueOf,
  narrowPlan,
} from './change-plan.ts'
import { findOrphans } from '../machine/collect-garbage.ts'
import { planOptions } from './compare-options.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { fanOut } from '../fan-out/fan-out.ts'
import { describeGrant, grantsOfChange } from '../inventory/grants.ts'
import { detectDrift } from './detect-drift.ts'
import { planUnready } from './plan-unready.ts'
import type { StackPlan } from '../stacks/plan-stacks.ts'
import type { SwarmsPlan, SwarmPlanOptions } from '../swarm/plan-swarms.ts'
import { isCreatedByFleet, planDestructive, wasRemovalStartedHere } from './destructive-changes.ts'

/** Options of {@link makePlan}. */
export interface PlanOptions {
  /** Whether to query only the providers, without connecting to hosts. */
  readonly skipHosts?: boolean
  /** The names of the selected machines; if absent, all machines. */
  readonly chosen?: ReadonlySet<string> | undefined
  /** How long a host may take to answer, in milliseconds. */
  readonly timeoutMs: number
  readonly progress: Progress
}

/**
 * The maximum number of hosts that are inspected at the same time. With more, this computer would become too slow to
 * meet the time limit.
 */
const concurrency = 128

/** The issue for an adopted host whose address in the entry was changed by hand, if it was. */
function findAddressIssue({ name, options, host }: ReadyMachine): readonly Issue[] {
  const typed = options?.['address']
  if (typeof typed !== 'string' || host.address === undefined || typed === host.address) return []
  return [
    {
      machine: name,
      why: `the entry sets the address ${typed}, but the address under "host:" is ${host.address}`,
      hint: 'if this is the same host, change the address under "host:" as well',
    },
  ]
}

/** Joins parts of a plan, in the given order. */
const joinParts = (...parts: readonly PlanPart[]): Required<PlanPart> => ({
  changes: parts.flatMap(({ changes = [] }) => changes),
  drift: parts.flatMap(({ drift = [] }) => drift),
  issues: parts.flatMap(({ issues = [] }) => issues),
})

/** Plans to start or stop a host, if its driver can do that. */
async function planPower(
  context: Context,
  { name, driver, host }: ReadyMachine,
  action: 'start' | 'stop',
  why: string,
): Promise<PlanPart> {
  const { power } = await context.loadDriver(driver)
  if (power === undefined) return { issues: [{ machine: name, why }] }
  const destructive = action === 'stop' && !isCreatedByFleet(host)
  return { changes: [{ machine: name, action, why, ...(destructive && { destructive }) }] }
}

/** The drift of a host whose provider reports a new address. */
function addressDrift({ name, host }: ReadyMachine, { address }: HostStatus): readonly Drift[] {
  const { address: expected } = host
  if (address === undefined || address === expected) return []
  const drift: Drift = { machine: name, field: 'address', actual: address }
  return [{ ...drift, ...(expected !== undefined && { expected }) }]
}

/** Compares the entry and the record of a machine with its existing host. */
async function examineHost(
  context: Context,
  inventory: Inventory,
  machine: ReadyMachine,
  status: ProviderAnswer,
  { skipHosts = false }: PlanOptions,
): Promise<PlanPart> {
  const { name, stopped = false } = machine
  switch (status.state) {
    case 'paused':
    case 'stopped': {
      const options = await planOptions(context, inventory, machine, status)
      if (stopped) return options
      const why = `the host is ${status.state}`
      return joinParts(options, await planPower(context, machine, 'start', why))
    }
    case 'absent':
      if (status.reclaimed === true && machine.host.token !== undefined && !machine.protected) {
        const why = 'the provider reclaimed the host'
        return { changes: [{ machine: name, action: 'replace', why, gone: true }] }
      }
      return {
        issues: [
          {
            machine: name,
            why: 'the host no longer exists',
            hint: `to remove the entry: fleet rm ${name}`,
          },
        ],
      }
    case 'starting':
    case 'stopping':
      return { issues: [{ machine: name, why: `the host is ${status.state}` }] }
    case 'not-asked': {
      const { why } = status
      const issues = [
        ...(why === undefined ? [] : [{ machine: name, why }]),
        ...findAddressIssue(machine),
      ]
      if (skipHosts) return { issues }
      return joinParts({ issues }, await detectDrift(context, inventory, machine, undefined))
    }
    case 'running':
    case 'unknown': {
      const { address } = status
      const options =
        status.state === 'running' ? await planOptions(context, inventory, machine, status) : {}
      const addressIssues = { issues: findAddressIssue(machine) }
      if (stopped && status.state === 'running') {
        const why = 'the host should be stopped, but is running'
        return joinParts(addressIssues, options, await planPower(context, machine, 'stop', why))
      }
      if (skipHosts)
        return joinParts(addressIssues, options, { drift: addressDrift(machine, status) })
      // Changes that need a connection come first, because applying options may stop the host.
      return joinParts(
        addressIssues,
        await detectDrift(context, inventory, machine, address),
        options,
      )
    }
  }
}

/** Plans the changes of one machine. */
async function examine(
  context: Context,
  inventory: Inventory,
  machine: Machine,
  ask: ReturnType<typeof askProviders>,
  options: PlanOptions,
): Promise<PlanPart> {
  const { host } = machine
  const exceeded = exceededCount(inventory.profiles, machine)
  const isBeingRemoved = host?.phase === 'removing' && host.replacing !== true
  if (exceeded !== undefined && !isBeingRemoved) {
    const why = `profile ${exceeded.profile} sets "count: ${exceeded.count}"`
    return planDestructive(machine, { action: 'remove', why })
  }
  if (host?.phase === 'ready') {
    const ready = { ...machine, host }
    return examineHost(context, inventory, ready, await ask(machine), options)
  }
  const { lifecycle } = await context.loadDriver(machine.driver)
  if (lifecycle !== undefined) {
    // The options of external drivers were not validated when the inventory was read.
    const definition = await context.driver(machine.driver)
    checkOptions(definition, machine.options ?? {}, inventory.defaults[machine.driver])
  }
  return planUnready(inventory, machine, {
    makesHosts: lifecycle !== undefined,
    wasStartedHere: await wasRemovalStartedHere(context, machine),
  })
}

/** Adds to each change a description of the access to this computer that it gives the host. */
async function withGrants(
  context: Context,
  inventory: Inventory,
  machine: Machine,
  part: PlanPart,
): Promise<PlanPart> {
  if (part.changes === undefined) return part
  const changes = part.changes.map(async (change): Promise<Change> => {
    const grants = await grantsOfChange(context, inventory, machine, change)
    return grants.length === 0 ? change : { ...change, grants: grants.map(describeGrant) }
  })
  return { ...part, changes: await Promise.all(changes) }
}

/** Returns issues for hosts without an entry, or an issue if the search for them failed. */
async function orphanIssues(context: Context, progress: Progress): Promise<readonly Issue[]> {
  try {
    const { orphans, skipped } = await findOrphans(context, {
      everywhere: false,
      progress,
    })
    return [
      ...orphans.map(({ machine, parts, origin: { createdBy, created } }) => ({
        machine,
        why: `this clone of the inventory has no entry for ${parts.join(', ')}${createdBy === undefined ? '' : ` (created by ${createdBy}${created === undefined ? '' : ` at ${created}`})`}`,
        hint: 'merge the branch that contains the entry; if there is no such branch, see fleet gc',
      })),
      ...skipped.map(({ place, reason }) => ({
        why: `could not look for unmanaged hosts (${place}): ${reason}`,
      })),
    ]
  } catch (error) {
    context.signal.throwIfAborted()
    const issue = issueOf(error)
    return [{ ...issue, why: `could not look for unmanaged hosts: ${issue.why}` }]
  }
}

/** Plans the deployments of stacks. The code for stacks is loaded only if the inventory has stacks. */
async function planStacksOf(
  context: Context,
  inventory: Inventory,
  { skipHosts = false, ...options }: PlanOptions & { readonly changes: readonly Change[] },
): Promise<StackPlan> {
  if (skipHosts || inventory.stacks.size === 0) return { deployments: [], issues: [] }
  const { planStacks } = await import('../stacks/plan-stacks.ts')
  return planStacks(context, inventory, options)
}

/** Plans the changes of swarms. The code for swarms is loaded only if the inventory has swarms. */
async function planSwarmsOf(
  context: Context,
  inventory: Inventory,
  { skipHosts = false, ...options }: SwarmPlanOptions & Pick<PlanOptions, 'skipHosts'>,
): Promise<SwarmsPlan> {
  if (skipHosts || inventory.swarms.size === 0) {
    return { swarms: [], issues: [], refused: new Set() }
  }
  const { planSwarms } = await import('../swarm/plan-swarms.ts')
  return planSwarms(context, inventory, options)
}

/**
 * Compares the entries and records of the inventory with the hosts, and plans the changes. Each provider is asked once for all
 * of its machines. Changes nothing.
 */
export async function makePlan(context: Context, options: PlanOptions): Promise<ChangePlan> {
  const inventory = await (await context.inventory()).read()
  const { chosen } = options
  const machines = [...inventory.machines.values()].filter(
    ({ name }) => chosen === undefined || chosen.has(name),
  )
  const ask = askProviders(context, machines)
  const { progress, timeoutMs } = options
  const orphans = chosen === undefined ? orphanIssues(context, progress) : Promise.resolve([])
  orphans.catch(() => {}) // awaited below, unless something else fails first
  const parts = new Map<string, PlanPart>()
  progress('compare the inventory with the hosts')
  const { signal, clock } = context
  const timeLimit = { ms: timeoutMs, clock }
  const work = async (machine: Machine, stop: AbortSignal): Promise<PlanPart> => {
    const stoppable = context.with({ signal: stop })
    const part = await examine(stoppable, inventory, machine, ask, options)
    return withGrants(stoppable, inventory, machine, part)
  }
  const unreachable = new Map<string, UserError>()
  for await (const outcome of fanOut(machines, work, { signal, concurrency, timeLimit })) {
    const { name } = outcome.machine
    if ('error' in outcome) unreachable.set(name, outcome.error)
    parts.set(
      name,
      'error' in outcome
        ? { issues: [{ machine: name, ...issueOf(outcome.error) }] }
        : outcome.value,
    )
    progress('compare the inventory with the hosts', `${parts.size} of ${machines.length}`)
  }
  const all = joinParts(...machines.flatMap(({ name }) => parts.get(name) ?? []))
  const { drift } = all
  const swarms = await planSwarmsOf(context, inventory, {
    ...{ ...options, changes: all.changes, unreachable },
  })
  const changes = all.changes.filter((change) => !swarms.refused.has(change))
  const stacks = await planStacksOf(context, inventory, { ...options, changes })
  const plan: ChangePlan = {
    ...{ version: 1, inventory: digestInventory(inventory), changes },
    ...(stacks.deployments.length > 0 && { deployments: stacks.deployments }),
    ...(swarms.swarms.length > 0 && { swarms: swarms.swarms }),
    ...{ drift, issues: [...all.issues, ...swarms.issues, ...stacks.issues, ...(await orphans)] },
  }
  return chosen === undefined ? plan : narrowPlan(plan, inventory, chosen)
}
