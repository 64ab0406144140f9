import { readSwarmInfo } from '../../engine/swarm/info.ts'
import { type SwarmNode, removeNode, updateNode } from '../../engine/swarm/nodes.ts'
import { UserError } from '../../errors.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import { rolesOf } from '../../machine/swarms.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { demote, leave, waitForTasks } from './apply/leave-node.ts'
import { type SwarmCalls, type Work, managerOf, waitFor } from './apply/node-work.ts'
import { findManager } from './find-manager.ts'
import { type Interruption, neededNodes, nodesOf } from './guard-machines.ts'
import { activated, drained } from './node-labels.ts'
import { managersAmong } from './quorum.ts'

/** How long an engine may take to report its node ID, in milliseconds. */
const answerMs = 10_000

/** How long a node may take to be ready after its host has started, in milliseconds. */
const readyMs = 60_000

/** A machine that is about to be interrupted. */
export interface InterruptedMachine {
  readonly machine: Machine
  readonly interruption: Interruption
}

/** A machine that is a node of a swarm. */
interface Member {
  readonly machine: Machine
  readonly swarm: string
  readonly interruption: Interruption
  readonly node: string
  readonly isManager: boolean
  /** Whether the engine responds. If it does not, the node cannot leave and is removed from the list of nodes. */
  readonly answers: boolean
  /** Whether the node is ready, so that its tasks can be drained. */
  readonly isUp: boolean
}

/** Asks an engine for its node ID. Undefined if it does not respond. */
async function askNode(
  context: Context,
  machine: Machine,
): Promise<{ readonly nodeId?: string | undefined } | undefined> {
  if (!hasHost(machine) || machine.engine === 'none') return {}
  const stop = AbortSignal.any([context.signal, AbortSignal.timeout(answerMs)])
  const ask = async () => readSwarmInfo(await context.with({ signal: stop }).engine(machine), stop)
  return ask().catch((error: unknown) => {
    context.signal.throwIfAborted()
    return ignored('engine', `get ${machine.name}'s node ID`)(error)
  })
}

/**
 * Finds the given machines that are members of swarms, and the swarms whose nodes are all interrupted (`whole`). Throws
 * kind `failed` if no manager of a machine's swarm responds.
 */
async function findMembers(
  context: Context,
  interrupted: readonly InterruptedMachine[],
): Promise<{ readonly members: readonly Member[]; readonly whole: ReadonlySet<string> }> {
  const { swarms, machines } = await (await context.inventory()).read()
  const asked = await Promise.all(
    interrupted.map(async (one) => ({ ...one, answer: await askNode(context, one.machine) })),
  )
  const maybe = asked.filter(({ answer }) => answer === undefined || answer.nodeId !== undefined)
  const members: Member[] = []
  const whole = new Set<string>()
  const unknown: { readonly swarm: string; readonly names: ReadonlySet<string> }[] = []
  for (const swarm of swarms.values()) {
    if (swarm.id === undefined || maybe.length === 0) continue
    const found = await findManager(context, swarm.name, { signal: context.signal }).catch(
      ignored('engine', `find a manager of swarm ${swarm.name}`),
    )
    context.signal.throwIfAborted()
    if (found === undefined) {
      const names = [...rolesOf(swarm, machines.values()).keys()]
      unknown.push({ swarm: swarm.name, names: new Set<string>(names) })
      continue
    }
    const managers = managersAmong(found.nodes)
    const own = maybe.flatMap(({ machine, interruption, answer }) =>
      nodesOf(machine.name, answer?.nodeId, found.nodes).map((node): Member => ({
        ...{ machine, interruption, swarm: swarm.name, node: node.ID },
        ...{ isManager: managers.has(node.ID), answers: answer !== undefined },
        isUp: node.Status.State === 'ready',
      })),
    )
    checkQuorum(swarm.name, found.nodes, own)
    const nodes = new Set(own.map(({ node }) => node))
    if (found.nodes.every(({ ID }) => nodes.has(ID))) whole.add(swarm.name)
    members.push(...own)
  }
  const known = new Set(members.map(({ machine }) => machine.name))
  for (const { machine, answer } of maybe) {
    const lost = unknown.find(({ names }) => names.has(machine.name))
    // A host that is already off needs no manager, because it has no tasks to drain.
    const isOff = answer === undefined && machine.stopped === true
    if (known.has(machine.name) || lost === undefined || isOff) continue
    throw new UserError(
      'failed',
      `no manager of swarm ${lost.swarm} responded, so this machine's node cannot be drained`,
      {
        machine: machine.name,
        hint: `to see the swarm's state: fleet swarm status ${lost.swarm}; to skip draining: --no-drain`,
      },
    )
  }
  return { members, whole }
}

/** Throws kind `failed` if no majority of the managers would be reachable. */
function checkQuorum(swarm: string, nodes: readonly SwarmNode[], own: readonly Member[]): void {
  const interruptions = new Map(own.map(({ node, interruption }) => [node, interruption]))
  const [first] = neededNodes(nodes, interruptions)
  if (first === undefined) return
  const [node, why] = first
  const member = own.find((one) => one.node === node)
  throw new UserError('failed', `swarm ${swarm} needs this machine as a manager: ${why}`, {
    ...(member && { machine: member.machine.name }),
    hint: `nothing was changed; bring the other managers back online first (see fleet swarm status ${swarm}), select fewer managers at a time, or select all nodes in the swarm`,
  })
}

/** Creates a queue that runs one piece of work at a time. */
function createQueue(): <Value>(work: () => Promise<Value>) => Promise<Value> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const next = last.then(work)
    last = next.catch(() => {})
    return next
  }
}

/**
 * Machines that are about to be interrupted, some of which are nodes of swarms. All nodes are drained before the first
 * host is interrupted, so that tasks are not moved to a node that is interrupted next. Disposing of this activates the
 * nodes that were not interrupted.
 */
export class Members implements AsyncDisposable {
  readonly #context: Context
  readonly #drainMs: number
  readonly #members: readonly Member[]
  readonly #leaving: ReadonlySet<string>
  readonly #drained = new Set<Member>()
  readonly #queue = createQueue()

  private constructor(context: Context, members: readonly Member[], drainMs: number) {
    this.#context = context
    this.#members = members
    this.#drainMs = drainMs
    this.#leaving = new Set(members.map(({ machine }) => machine.name))
  }

  /**
   * Finds the nodes, and drains those that will not just be restarted. Throws kind `failed` before making any change if
   * the interruptions would cost a swarm the majority of its managers. A swarm whose nodes are all interrupted is not
   * drained, and its nodes do not leave it, unless `rolling` is set: then only a few of them are interrupted at the
   * same time. A swarm with one node is never drained, because its tasks cannot move.
   */
  static async open(
    context: Context,
    interrupted: readonly InterruptedMachine[],
    { drainMs, rolling = false }: { readonly drainMs: number; readonly rolling?: boolean },
  ): Promise<Members> {
    const { members, whole } = await findMembers(context, interrupted)
    const count = (name: string) => members.filter(({ swarm }) => swarm === name).length
    const left = members.filter(({ swarm }) => !whole.has(swarm) || (rolling && count(swarm) > 1))
    const opened = new Members(context, left, drainMs)
    try {
      for (const member of left) if (member.interruption !== 'restart') await opened.#drain(member)
    } catch (error) {
      await opened[Symbol.asyncDispose]()
      throw error
    }
    return opened
  }

  /** Returns the swarms of which a machine is a node. */
  swarmsOf(machine: string): readonly string[] {
    return this.#of(machine).map(({ swarm }) => swarm)
  }

  /** Waits until a host has no running tasks, and switches it off with `work`. */
  async stop<Value>(
    machine: Machine,
    calls: SwarmCalls,
    work: () => Promise<Value>,
  ): Promise<Value> {
    const members = this.#of(machine.name)
    for (const member of members) await this.#waitForTasks(member, calls)
    const value = await work()
    for (const member of members) this.#drained.delete(member)
    return value
  }

  /**
   * Waits until a host has no running tasks, restarts it with `work`, and activates its node. Managers restart one at a
   * time.
   */
  async restart<Value>(
    machine: Machine,
    calls: SwarmCalls,
    work: () => Promise<Value>,
  ): Promise<Value> {
    const members = this.#of(machine.name)
    // The host is switched off for a change, after which it stays off or is removed.
    if (members.some(({ interruption }) => interruption !== 'restart')) {
      for (const member of members) await this.#waitForTasks(member, calls)
      return work()
    }
    const restart = async (): Promise<Value> => {
      for (const member of members) {
        await this.#recheck(member, calls)
        await this.#drain(member)
        await this.#waitForTasks(member, calls)
      }
      const value = await work()
      for (const member of members) {
        await activateNode(this.#work(member, calls), member.node)
        this.#drained.delete(member)
      }
      return value
    }
    if (!members.some(({ isManager }) => isManager)) return restart()
    calls.progress('wait until other managers are done')
    return this.#queue(restart)
  }

  /** Makes a machine leave its swarms before its host is removed, one manager at a time. */
  async leave(machine: Machine, calls: SwarmCalls): Promise<void> {
    for (const member of this.#of(machine.name)) {
      const work = this.#work(member, calls)
      const go = async (): Promise<void> => {
        await (member.answers ? leave(work, member.node) : removeSilentNode(work, member.node))
        this.#drained.delete(member)
      }
      if (member.isManager) {
        calls.progress('wait until other managers are done')
        await this.#queue(go)
      } else await go()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { swarm, node } of this.#drained) {
      const signal = AbortSignal.timeout(answerMs)
      const undo = async (): Promise<void> => {
        const { engine } = await findManager(this.#context, swarm, { signal })
        await updateNode(engine, node, activated, signal)
      }
      await undo().catch(ignored('engine', `activate node ${node}`))
    }
    this.#drained.clear()
  }

  #of(machine: string): readonly Member[] {
    return this.#members.filter((member) => member.machine.name === machine)
  }

  #work({ swarm, machine, interruption }: Member, calls: SwarmCalls): Work {
    return {
      ...{ ...calls, context: this.#context.with({ signal: calls.signal }), swarm, machine },
      ...{ leaving: interruption === 'restart' ? new Set([machine.name]) : this.#leaving },
      drainMs: this.#drainMs,
    }
  }

  async #drain(member: Member): Promise<void> {
    const { swarm, node, machine, isUp } = member
    if (!isUp) return
    const { signal } = this.#context
    const leaving = this.#leaving
    const { engine } = await findManager(this.#context, swarm, { signal, leaving })
    this.#drained.add(member)
    await updateNode(engine, node, drained, signal).catch((error: unknown) => {
      if (!(error instanceof UserError)) throw error
      throw new UserError(error.kind, `cannot drain the node: ${error.message}`, {
        ...{ machine: machine.name, hint: error.hint, cause: error },
      })
    })
  }

  async #waitForTasks(member: Member, calls: SwarmCalls): Promise<void> {
    if (!member.isUp) return
    calls.progress('drain the node')
    await waitForTasks(this.#work(member, calls), member.node)
  }

  /** Checks the quorum again before a machine is interrupted. */
  async #recheck(member: Member, calls: SwarmCalls): Promise<void> {
    const { nodes } = await managerOf(this.#work(member, calls))
    checkQuorum(member.swarm, nodes, [member])
  }
}

/** Removes the node of a host that does not respond. A manager is demoted first. */
async function removeSilentNode(work: Work, node: string): Promise<void> {
  const { engine, nodes } = await managerOf(work)
  if (managersAmong(nodes).has(node)) await demote(work, node)
  work.progress('remove the node')
  if (nodes.some(({ ID }) => ID === node)) await removeNode(engine, node, work.signal)
}

/**
 * Unlocks a manager that has just started, using the key from another manager. Throws kind `failed` if no manager can
 * provide the key, in which case only the user can unlock the swarm.
 */
async function unlockIfLocked(work: Work): Promise<void> {
  const { context, swarm, machine, signal } = work
  const engine = await context.engine(machine)
  if ((await readSwarmInfo(engine, signal)).state !== 'locked') return
  const { findUnlockKey, unlockMember } = await import('./unlock-members.ts')
  const key = await findUnlockKey(context, swarm, signal)
  if (key === undefined) {
    throw new UserError(
      'failed',
      `the host is running, but swarm ${swarm} is locked, and no manager can provide the key`,
      {
        machine: machine.name,
        hint: `to unlock the swarm: fleet swarm unlock ${swarm}`,
      },
    )
  }
  await unlockMember(context, { swarm, machine, key }, work)
}

/** Waits until a node is ready, and activates it if fleet has drained it. */
async function activateNode(work: Work, node: string): Promise<void> {
  const { signal, progress } = work
  await unlockIfLocked(work)
  progress('wait until the node is ready')
  const manager = await waitFor(
    work,
    async () => {
      const { engine, nodes } = await managerOf(work)
      const found = nodes.find(({ ID }) => ID === node)
      if (found === undefined) return { engine, isMember: false }
      const isReady =
        found.Status.State === 'ready' &&
        (found.ManagerStatus === undefined || found.ManagerStatus.Reachability === 'reachable')
      return isReady ? { engine, isMember: true } : undefined
    },
    () => `the host is running, but its node in swarm ${work.swarm} is not ready`,
    {
      limitMs: readyMs,
      hint: `to see the node's state: fleet swarm status ${work.swarm}; once the node is ready, fleet apply will activate it`,
    },
  )
  if (manager.isMember) await updateNode(manager.engine, node, activated, signal)
}

/** Activates the node of a machine that has been started, if fleet has drained it. */
export async function activateMember(
  context: Context,
  machine: Machine,
  calls: SwarmCalls,
): Promise<void> {
  const { swarms, machines } = await (await context.inventory()).read()
  if (swarms.size === 0 || machine.engine === 'none') return
  const own = context.with({ signal: calls.signal })
  const engine = await own.engine(machine)
  const before = await readSwarmInfo(engine, calls.signal)
  if (before.nodeId === undefined && before.state !== 'locked') return
  for (const swarm of swarms.values()) {
    if (swarm.id === undefined || !rolesOf(swarm, machines.values()).has(machine.name)) continue
    const work: Work = { ...calls, context: own, swarm: swarm.name, machine }
    await unlockIfLocked(work)
    const { nodeId } = await readSwarmInfo(engine, calls.signal)
    if (nodeId !== undefined) await activateNode(work, nodeId)
  }
}
