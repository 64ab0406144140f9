import type { UserError } from '../../errors.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import { type Stack, machinesOf } from '../../machine/stacks.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Inventory } from '../../state/inventory/inventory.ts'
import type { Progress } from '../../os/progress.ts'
import type { Context } from '../context.ts'
import { fanOutInOrder } from '../fan-out/fan-out.ts'
import {
  type Change,
  type ChangePlan,
  type Issue,
  type PlannedDeployment,
  issueOf,
} from '../plan/change-plan.ts'
import { type StackDrift, compareServices } from './compare-services.ts'
import { hashesFor } from './hash-services.ts'
import {
  type ListedStack,
  type StackContainer,
  findComparedImages,
  listStack,
} from './observe-stack.ts'
import { type PreparedStack, composeFinder, digestOf, prepareStack } from './prepare-stack.ts'
import type { ResolvedStack } from './resolve-stack.ts'
import type { Hasher } from './runners/stack-compose.ts'
import { rootOfMounts } from './host-store/store-folder.ts'
import { describeStackGrant } from './stack-grants.ts'
import { type StackModel, scaleOf, sharesNamespaces } from './stack-model.ts'

/** Options of {@link planStacks}. */
export interface StackPlanOptions {
  /** The names of the selected stacks; if absent, all stacks. */
  readonly stacks?: ReadonlySet<string> | undefined
  /** The names of the selected machines; if absent, all machines. */
  readonly chosen?: ReadonlySet<string> | undefined
  /** The changes to machines, which are made first. */
  readonly changes?: readonly Change[]
  /** Whether to plan pulling newer images on all machines. */
  readonly pull?: boolean
  /** How long a host may take to answer, in milliseconds. */
  readonly timeoutMs: number
  readonly progress: Progress
}

/** The part of a plan about stacks. */
export type StackPlan = Required<Pick<ChangePlan, 'deployments' | 'issues'>>

/** How many hosts are compared at the same time. */
const concurrency = 128

/** A machine to which a stack is deployed. */
interface Target {
  readonly machine: Machine
  /** The change to the machine that is made first, if there is one. */
  readonly after?: PlannedDeployment['after']
}

/** Returns the machines to which a stack can be deployed after the planned changes to machines. */
function targetsOf(
  stack: Stack,
  { machines }: Inventory,
  { chosen, changes = [] }: StackPlanOptions,
): readonly Target[] {
  return machinesOf(stack, machines.values()).flatMap((machine): Target[] => {
    const { name, engine, stopped = false } = machine
    if (engine === 'none' || stopped || (chosen !== undefined && !chosen.has(name))) return []
    const actions = new Set(
      changes.filter((one) => one.machine === name).map(({ action }) => action),
    )
    if (actions.has('remove')) return []
    const after = (['replace', 'create', 'adopt', 'start'] as const).find((one) => actions.has(one))
    if (after !== undefined) return [{ machine, after }]
    return hasHost(machine) ? [{ machine }] : []
  })
}

/** Returns a function that hashes each model once for each version of Compose. */
function openHashes() {
  const known = new Map<string, ReturnType<typeof hashesFor>>()
  return (model: StackModel, text: string, { version, ask }: Hasher) => {
    const key = `${version} ${text}`
    const hashes = known.get(key) ?? hashesFor(ask, model)
    known.set(key, hashes)
    return hashes
  }
}

/** Returns a function that computes the model of a resolved stack, once for each directory on hosts. */
function openModels() {
  const known = new Map<ResolvedStack, Map<string, { model: StackModel; text: string }>>()
  return (resolved: ResolvedStack, root: string) => {
    const ofStack = known.get(resolved) ?? new Map<string, { model: StackModel; text: string }>()
    known.set(resolved, ofStack)
    const made = ofStack.get(root) ?? { model: resolved.modelFor(root), text: '' }
    if (made.text === '') made.text = JSON.stringify(made.model)
    ofStack.set(root, made)
    return made
  }
}

const nothingListed: ListedStack = { containers: [], isUnfinished: false }

type Models = ReturnType<typeof openModels>

/** The differences between a stack's model and its containers on one host. */
type HostDrift = StackDrift & Pick<ListedStack, 'isUnfinished'>

/** The containers and images of a stack on a host. */
interface Observed extends ListedStack {
  readonly model: StackModel
  /** The model as JSON. */
  readonly text: string
  readonly images: ReadonlyMap<string, string>
}

/** Returns the model with file paths below the directory that a host's containers already mount. */
function modelOn(
  { id }: Inventory,
  { stack, models: resolved }: PreparedStack,
  { machine, containers }: { machine: Machine; containers: readonly StackContainer[] },
  models: Models,
) {
  const own = resolved.get(machine.name)
  if (own === undefined) throw new Error(`no model for ${machine.name}`)
  const mounts = containers.flatMap((container) => container.mounts)
  return models(own, rootOfMounts(mounts, { inventory: id, stack: stack.name }))
}

/**
 * Compares the containers of hosts with the model. Hosts list their containers while the model is still being resolved,
 * and the time limit for a host does not include Compose's own run time.
 */
async function compareHosts(
  context: Context,
  inventory: Inventory,
  {
    machines,
    prepared,
    stack,
  }: {
    machines: readonly Machine[]
    prepared: Promise<PreparedStack | undefined>
    stack: Stack
  },
  timeoutMs: number,
): Promise<{
  readonly drift: ReadonlyMap<string, HostDrift>
  readonly failures: readonly Issue[]
}> {
  const { signal, clock } = context
  const limits = { signal, concurrency, timeLimit: { ms: timeoutMs, clock } }
  const drift = new Map<string, HostDrift>()
  const failures: Issue[] = []
  const fail = (machine: string, error: unknown): void => {
    const { why, ...rest } = issueOf(error)
    failures.push({
      ...rest,
      machine,
      why: `could not compare stack ${stack.name} with the host: ${why}`,
    })
  }
  const engineOf = (machine: Machine, stop: AbortSignal): Promise<Engine> =>
    context.with({ signal: stop }).engine(machine)
  const list = async (machine: Machine, stop: AbortSignal) =>
    listStack(await engineOf(machine, stop), stack.name, stop)
  const [models, hashes] = [openModels(), openHashes()]
  /** Hashes the model that most hosts use while the hosts list their containers. */
  const hashEarly = async (): Promise<void> => {
    const [one, [machine]] = [await prepared, machines]
    if (one === undefined || one.compose.host !== undefined || machine === undefined) return
    const { model, text } = modelOn(inventory, one, { machine, containers: [] }, models)
    if (sharesNamespaces(model)) return
    const hasher = await one.compose.hasherOf(machine, undefined)
    await hashes(model, text, hasher)([])
  }
  void hashEarly().catch(() => {}) // reported where the hashes are needed
  const [lists, result] = await Promise.all([fanOutInOrder(machines, list, limits), prepared])
  if (result === undefined) return { drift, failures }
  const listed = new Map<string, ListedStack>()
  for (const outcome of lists) {
    if ('value' in outcome) listed.set(outcome.machine.name, outcome.value)
    else fail(outcome.machine.name, outcome.error)
  }
  const observe = async (machine: Machine, stop: AbortSignal): Promise<Observed> => {
    const { containers, isUnfinished } = listed.get(machine.name) ?? nothingListed
    const made = modelOn(inventory, result, { machine, containers }, models)
    const engine = await engineOf(machine, stop)
    const release = machine.host?.engine
    const images = await findComparedImages(engine, made.model, { containers, release }, stop)
    return { ...made, containers, isUnfinished, images }
  }
  const found = machines.filter(({ name }) => listed.has(name))
  const observed = await fanOutInOrder(found, observe, limits)
  const comparisons = observed.map(async (outcome) => {
    const { machine } = outcome
    try {
      if ('error' in outcome) throw outcome.error
      const { containers, isUnfinished, model, text, images } = outcome.value
      const hasher = await result.compose.hasherOf(machine, containers[0]?.version)
      const expected = await hashes(model, text, hasher)(containers)
      const { version } = hasher
      const compared = compareServices({ model, hashes: expected, version, images }, containers)
      drift.set(machine.name, { ...compared, isUnfinished })
    } catch (error) {
      signal.throwIfAborted()
      fail(machine.name, error)
    }
  })
  await Promise.all(comparisons)
  return { drift, failures }
}

/** Returns the changes on a machine that has no containers of the stack yet. */
const allServices = (resolved: ResolvedStack): PlannedDeployment['services'] =>
  Object.entries(resolved.modelFor('/stack').services)
    .filter(([, service]) => scaleOf(service) > 0)
    .map(([service]) => ({ service, action: 'create', why: 'the service has no container' }))

const isPrepared = (one: PreparedStack | UserError): one is PreparedStack => 'models' in one

/** Plans the deployments of one stack. */
async function planStack(
  context: Context,
  inventory: Inventory,
  stack: Stack,
  options: StackPlanOptions & { findCompose: ReturnType<typeof composeFinder> },
): Promise<StackPlan> {
  const { timeoutMs, pull = false, findCompose } = options
  const targets = targetsOf(stack, inventory, options)
  if (targets.length === 0) return { deployments: [], issues: [] }
  const existing = targets.filter(({ after }) => after === undefined)
  const machines = targets.map(({ machine }) => machine)
  const prepared = prepareStack(context, stack, machines, findCompose).catch(
    (error: unknown) => error as UserError,
  )
  const { drift, failures } = await compareHosts(
    context,
    inventory,
    {
      machines: existing.map(({ machine }) => machine),
      prepared: prepared.then((one) => (isPrepared(one) ? one : undefined)),
      stack,
    },
    timeoutMs,
  )
  const result = await prepared
  if (!isPrepared(result)) {
    context.signal.throwIfAborted()
    const { why, ...rest } = issueOf(result)
    return {
      deployments: [],
      issues: [{ ...rest, why: `stack ${stack.name}: ${why.replace(/^stack \S+: /, '')}` }],
    }
  }
  const issues: Issue[] = []
  const grants = result.grants.map(describeStackGrant)
  const deployments = targets.flatMap(({ machine: { name }, after }): PlannedDeployment[] => {
    const resolved = result.models.get(name)
    const found = drift.get(name)
    if (resolved === undefined || (after === undefined && found === undefined)) return []
    for (const service of found?.unhealthy ?? []) {
      issues.push({
        machine: name,
        why: `service ${service} in stack ${stack.name} is unhealthy`,
        hint: `to see the logs: fleet stack logs ${stack.name} ${service} --on ${name}`,
      })
    }
    const services = found?.changes ?? (after === 'start' ? [] : allServices(resolved))
    const isUnfinished = found?.isUnfinished === true
    if (after === undefined && services.length === 0 && !pull && !isUnfinished) return []
    return [
      {
        ...{ stack: stack.name, machine: name, digest: digestOf(resolved), services },
        ...(after !== undefined && { after }),
        ...(isUnfinished && { unfinished: true }),
        ...(pull && { pull }),
        ...(grants.length > 0 && { grants }),
      },
    ]
  })
  const places = [...inventory.machines.keys()] as string[]
  const placeOf = ({ machine = '' }: Issue): number => places.indexOf(machine)
  const sorted = failures.toSorted((one, other) => placeOf(one) - placeOf(other))
  return { deployments, issues: [...issues, ...sorted] }
}

/**
 * Compares the stacks of the inventory with the containers on their machines. Does not connect to machines without a
 * host. Changes nothing.
 */
export async function planStacks(
  context: Context,
  inventory: Inventory,
  options: StackPlanOptions,
): Promise<StackPlan> {
  const { stacks, progress } = options
  const chosen = [...inventory.stacks.values()].filter(
    ({ name }) => stacks === undefined || stacks.has(name),
  )
  if (chosen.length === 0) return { deployments: [], issues: [] }
  progress('compare stacks with their hosts')
  const findCompose = composeFinder(context)
  const parts = await Promise.all(
    chosen.map(async (stack) => {
      const given = { ...options, findCompose }
      if (stack.swarm === undefined) return planStack(context, inventory, stack, given)
      const { planSwarmStack } = await import('../swarm-stacks/plan-swarm-stack.ts')
      return planSwarmStack(context, inventory, { ...stack, swarm: stack.swarm }, given)
    }),
  )
  return {
    deployments: parts.flatMap(({ deployments }) => deployments),
    issues: parts.flatMap(({ issues }) => issues),
  }
}
