import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../errors.ts'
import {
  flag,
  id,
  list,
  nothing,
  number,
  object,
  optional,
  record,
  text,
  withDefault,
} from '../answer.ts'
import type { Engine } from '../engine.ts'

/** The desired state of a node (NodeSpec). */
export interface NodeSpec {
  readonly Name?: string | undefined
  readonly Labels: Readonly<Record<string, string>>
  readonly Role: string
  /** `active`, `pause` or `drain`. */
  readonly Availability: string
}

/** A node in the list of a manager (Node). */
export interface SwarmNode {
  readonly ID: string
  /** Each update of a node names the version that it changes. */
  readonly Version: { readonly Index: number }
  readonly Spec: NodeSpec
  readonly Description: {
    readonly Hostname: string
    readonly Engine: { readonly EngineVersion: string }
  }
  /** The state is `ready`, `down`, `disconnected` or `unknown`. */
  readonly Status: { readonly State: string; readonly Addr: string }
  /** Only of managers. */
  readonly ManagerStatus?:
    | {
        readonly Leader: boolean
        /** `reachable`, `unreachable` or `unknown`. */
        readonly Reachability: string
        readonly Addr: string
      }
    | undefined
}

const readNode = object<SwarmNode>({
  ID: id,
  Version: object<SwarmNode['Version']>({ Index: withDefault(number, 0) }),
  Spec: object<NodeSpec>({
    Name: optional(text),
    Labels: withDefault(record(text), {}),
    Role: text,
    Availability: withDefault(text, 'active'),
  }),
  Description: withDefault(
    object<SwarmNode['Description']>({
      Hostname: withDefault(text, ''),
      Engine: withDefault(
        object<SwarmNode['Description']['Engine']>({ EngineVersion: withDefault(text, '') }),
        { EngineVersion: '' },
      ),
    }),
    { Hostname: '', Engine: { EngineVersion: '' } },
  ),
  Status: withDefault(
    object<SwarmNode['Status']>({
      State: withDefault(text, 'unknown'),
      Addr: withDefault(text, ''),
    }),
    { State: 'unknown', Addr: '' },
  ),
  ManagerStatus: optional(
    object<NonNullable<SwarmNode['ManagerStatus']>>({
      Leader: withDefault(flag, false),
      Reachability: withDefault(text, 'unknown'),
      Addr: withDefault(text, ''),
    }),
  ),
})

/** Lists the nodes of a swarm. Only a manager can, and only while the swarm has a leader. */
export const listNodes = (engine: Engine, signal?: AbortSignal): Promise<readonly SwarmNode[]> =>
  engine.json({ path: '/nodes', ...(signal && { signal }) }, list(readNode))

/** Inspects a node of a swarm (NodeInspect). */
const inspectNode = (engine: Engine, node: string, signal: AbortSignal): Promise<SwarmNode> =>
  engine.json({ path: `/nodes/${encodeURIComponent(node)}`, signal }, readNode)

/** How often an update is repeated when another one came in between. */
const maxUpdates = 10

/** Changes a node of a swarm (NodeUpdate); `change` gets its newest state. Does nothing if that changes nothing. */
export async function updateNode(
  engine: Engine,
  node: string,
  change: (spec: NodeSpec) => NodeSpec,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { Version, Spec } = await inspectNode(engine, node, signal)
    const body = change(Spec)
    if (isDeepStrictEqual(body, Spec)) return
    const query = { version: Version.Index }
    const path = `/nodes/${encodeURIComponent(node)}/update`
    try {
      await engine.json({ method: 'POST', path, query, body, signal }, nothing)
      return
    } catch (error) {
      const isOutdated = error instanceof UserError && /out of sequence/.test(error.message)
      if (!isOutdated || attempt >= maxUpdates) throw error
    }
  }
}

/** Removes a node that has left from the list of a swarm (NodeDelete). */
export const removeNode = (engine: Engine, node: string, signal: AbortSignal): Promise<void> =>
  engine.json(
    {
      ...{ method: 'DELETE', path: `/nodes/${encodeURIComponent(node)}`, query: { force: true } },
      signal,
    },
    nothing,
  )

/** Lists the tasks that run, or should run, on a node (TaskList): their number. */
export const countTasks = async (
  engine: Engine,
  node: string,
  signal: AbortSignal,
): Promise<number> => {
  const filters = { node: [node] }
  const tasks = await engine.json(
    { path: '/tasks', query: { filters }, signal },
    list(
      object<{ readonly Status: { readonly State: string } }>({
        Status: object<{ readonly State: string }>({ State: withDefault(text, '') }),
      }),
    ),
  )
  return tasks.filter(({ Status }) => Status.State === 'running').length
}
