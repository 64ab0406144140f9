import { isDeepStrictEqual } from 'node:util'
import { flag, id, list, nothing, object, optional, record, text, withDefault } from '../answer.ts'
import type { Engine } from '../engine.ts'
import { listTasks } from './tasks.ts'
import { type Version, readVersion, sendUpdate } from './versions.ts'

/** The desired state of a node (NodeSpec). */
export interface NodeSpec {
  readonly Name?: string | undefined
  readonly Labels: Readonly<Record<string, string>>
  readonly Role: string
  /** `active`, `pause` or `drain`. */
  readonly Availability: string
}

/** A node in a manager's list (Node). */
export interface SwarmNode {
  readonly ID: string
  readonly Version: Version
  readonly Spec: NodeSpec
  readonly Description: {
    readonly Hostname: string
    readonly Engine: { readonly EngineVersion: string }
  }
  /** The state is `ready`, `down`, `disconnected` or `unknown`. */
  readonly Status: { readonly State: string; readonly Addr: string }
  /** Present for managers only. */
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
  Version: readVersion,
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

/** Lists the nodes of a swarm. Works only on a manager, while the swarm has a leader. */
export const listNodes = (engine: Engine, signal?: AbortSignal): Promise<readonly SwarmNode[]> =>
  engine.json({ path: '/nodes', ...(signal && { signal }) }, list(readNode))

/** Inspects a node of a swarm (NodeInspect). */
const inspectNode = (engine: Engine, node: string, signal: AbortSignal): Promise<SwarmNode> =>
  engine.json({ path: `/nodes/${encodeURIComponent(node)}`, signal }, readNode)

/**
 * Changes a node of a swarm (NodeUpdate). `change` receives the current spec; if it returns an equal spec, nothing is
 * sent.
 */
export async function updateNode(
  engine: Engine,
  node: string,
  change: (spec: NodeSpec) => NodeSpec,
  signal: AbortSignal,
): Promise<void> {
  await sendUpdate(async () => {
    const { Version, Spec } = await inspectNode(engine, node, signal)
    const body = change(Spec)
    if (isDeepStrictEqual(body, Spec)) return
    const query = { version: Version.Index }
    const path = `/nodes/${encodeURIComponent(node)}/update`
    await engine.json({ method: 'POST', path, query, body, signal }, nothing)
  })
}

/** Removes a node that has left a swarm from the swarm's list of nodes (NodeDelete). */
export const removeNode = (engine: Engine, node: string, signal: AbortSignal): Promise<void> =>
  engine.json(
    {
      ...{ method: 'DELETE', path: `/nodes/${encodeURIComponent(node)}`, query: { force: true } },
      signal,
    },
    nothing,
  )

/** Counts the tasks that are running on a node. */
export const countTasks = async (
  engine: Engine,
  node: string,
  signal: AbortSignal,
): Promise<number> => {
  const tasks = await listTasks(engine, { node, signal })
  return tasks.filter(({ Status }) => Status.State === 'running').length
}
