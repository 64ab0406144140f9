import { UserError, messageOf } from '../../errors.ts'
import { type ClusterInfo, type SwarmInfo, readSwarmInfo } from '../../engine/swarm/info.ts'
import { type SwarmNode, listNodes } from '../../engine/swarm/nodes.ts'
import { type Machine, hasHost } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { fanOutInOrder } from '../fan-out/fan-out.ts'

/** A cluster whose managers are machines. */
export interface Cluster extends ClusterInfo {
  /** The machine that listed the nodes. */
  readonly manager: string
  readonly nodes: readonly SwarmNode[]
}

/** The answers of engines about their swarms. */
export interface SwarmObservation {
  /**
   * The answer of each machine's engine, or the error if there is no answer, keyed by machine. Machines without a host
   * are absent.
   */
  readonly engines: ReadonlyMap<string, SwarmInfo | UserError>
  /** Clusters, keyed by cluster ID. Clusters whose managers have no leader are absent. */
  readonly clusters: ReadonlyMap<string, Cluster>
}

/** How many engines are asked at the same time. */
const concurrency = 128

/** The time limit for managers without a leader, in milliseconds. Such managers answer after 20 seconds. */
const leaderlessMs = 25_000

/** Returns the answer of a machine's engine; undefined if there is none. */
export const answerOf = (
  { engines }: Pick<SwarmObservation, 'engines'>,
  machine: string,
): SwarmInfo | undefined => {
  const answer = engines.get(machine)
  return answer instanceof UserError ? undefined : answer
}

/** Asks engines about their swarms, and one manager of each cluster for its nodes. Changes nothing. */
export async function observeSwarms(
  context: Context,
  machines: readonly Machine[],
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<SwarmObservation> {
  const { signal, clock } = context
  const limits = {
    ...{ signal, concurrency },
    timeLimit: { ms: Math.max(timeoutMs, leaderlessMs), clock },
  }
  const asked = machines.filter((machine) => hasHost(machine) && machine.engine !== 'none')
  const engineOf = (machine: Machine, stop: AbortSignal) =>
    context.with({ signal: stop }).engine(machine)
  const outcomes = await fanOutInOrder(
    asked,
    async (machine, stop) => readSwarmInfo(await engineOf(machine, stop), stop),
    limits,
  )
  const engines = new Map(
    outcomes.map((outcome) => [
      outcome.machine.name as string,
      'value' in outcome ? outcome.value : outcome.error,
    ]),
  )
  const managers = new Map<string, Machine[]>()
  const known = new Map<string, ClusterInfo>()
  for (const machine of asked) {
    const cluster = answerOf({ engines }, machine.name)?.cluster
    if (cluster === undefined) continue
    known.set(cluster.id, cluster)
    managers.set(cluster.id, [...(managers.get(cluster.id) ?? []), machine])
  }
  const clusters = new Map<string, Cluster>()
  for (const [id, info] of known) {
    for (const machine of managers.get(id) ?? []) {
      const [listed] = await fanOutInOrder(
        [machine],
        async (one, stop) => listNodes(await engineOf(one, stop), stop),
        limits,
      )
      if (listed === undefined || 'error' in listed) continue
      clusters.set(id, { ...info, manager: machine.name, nodes: listed.value })
      break
    }
  }
  return { engines, clusters }
}

/** Formats the error of an engine on one line, for messages. */
export const reasonOf = (error: unknown): string => messageOf(error).replaceAll(/\s+/g, ' ').trim()
