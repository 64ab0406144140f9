import { flag, listOrNull, object, optional, record, text, withDefault } from '../answer.ts'
import type { Engine } from '../engine.ts'
import { idOrNone } from './versions.ts'

/** The swarm membership of an engine, as the engine reports it (SystemInfo.Swarm). */
export interface SwarmInfo {
  /** Absent if the engine is not in a swarm. */
  readonly nodeId?: string | undefined
  /** `inactive`, `pending`, `active`, `error` or `locked`. */
  readonly state: string
  /** The IP address at which other nodes reach the engine. Absent if the engine is not in a swarm. */
  readonly address?: string | undefined
  /** Whether the engine manages the swarm. */
  readonly isManager: boolean
  /** Why the state is not `active`, or why a manager does not answer. Empty if there is no error. */
  readonly error: string
  /** The node IDs of the managers, as known to a worker. */
  readonly managers: readonly string[]
  /** Absent on workers, and on managers of a swarm without a leader. */
  readonly cluster?: ClusterInfo | undefined
}

/** A cluster as its managers describe it (ClusterInfo). */
export interface ClusterInfo {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
  readonly addressPools: readonly string[]
  /** Whether managers need the unlock key after a restart. */
  readonly autolock?: boolean
}

/** Some of the settings of a cluster (SwarmSpec). */
interface ClusterSettings {
  readonly Labels: Readonly<Record<string, string>>
  readonly EncryptionConfig: { readonly AutoLockManagers: boolean }
}

const readAnswer = object<{
  readonly Swarm:
    | {
        readonly NodeID: string | undefined
        readonly NodeAddr: string
        readonly LocalNodeState: string
        readonly ControlAvailable: boolean
        readonly Error: string
        readonly RemoteManagers: readonly { readonly NodeID: string }[]
        readonly Cluster:
          | {
              readonly ID: string | undefined
              readonly Spec: ClusterSettings
              readonly DefaultAddrPool: readonly string[]
            }
          | undefined
      }
    | undefined
}>({
  Swarm: optional(
    object({
      NodeID: idOrNone,
      NodeAddr: withDefault(text, ''),
      LocalNodeState: withDefault(text, 'inactive'),
      ControlAvailable: withDefault(flag, false),
      Error: withDefault(text, ''),
      RemoteManagers: listOrNull(object<{ readonly NodeID: string }>({ NodeID: text })),
      Cluster: optional(
        object({
          ID: idOrNone,
          Spec: object<ClusterSettings>({
            Labels: withDefault(record(text), {}),
            EncryptionConfig: withDefault(
              object<ClusterSettings['EncryptionConfig']>({
                AutoLockManagers: withDefault(flag, false),
              }),
              { AutoLockManagers: false },
            ),
          }),
          DefaultAddrPool: listOrNull(text),
        }),
      ),
    }),
  ),
})

/** Reads the swarm membership of an engine. Managers of a swarm without a leader take 20 seconds to answer. */
export async function readSwarmInfo(engine: Engine, signal?: AbortSignal): Promise<SwarmInfo> {
  const { Swarm: swarm } = await engine.json(
    { path: '/info', ...(signal && { signal }) },
    readAnswer,
  )
  const { NodeID, LocalNodeState = 'inactive', ControlAvailable = false } = swarm ?? {}
  const { Error: error = '', NodeAddr: address = '', RemoteManagers = [], Cluster } = swarm ?? {}
  return {
    ...{ nodeId: NodeID, state: LocalNodeState, isManager: ControlAvailable, error },
    managers: RemoteManagers.map((one) => one.NodeID),
    ...(address !== '' && { address }),
    ...(Cluster?.ID !== undefined && {
      cluster: {
        ...{ id: Cluster.ID, labels: Cluster.Spec.Labels, addressPools: Cluster.DefaultAddrPool },
        autolock: Cluster.Spec.EncryptionConfig.AutoLockManagers,
      },
    }),
  }
}
