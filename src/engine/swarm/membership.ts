import { UserError } from '../../errors.ts'
import { nothing, object, text } from '../answer.ts'
import type { Engine } from '../engine.ts'

/**
 * The TCP port on which a node listens for other nodes (docs.docker.com/engine/swarm/swarm-tutorial, "Open protocols
 * and ports").
 */
const swarmPort = 2377

const listenAddress = `0.0.0.0:${swarmPort}`

/** A swarm to initialize. */
export interface NewSwarm {
  /** The IP address at which other nodes reach this node. */
  readonly advertise: string
  readonly addressPool: string
  /** Labels of the cluster. */
  readonly labels: Readonly<Record<string, string>>
  /** Whether managers need the unlock key after a restart of their engine. */
  readonly autolock: boolean
}

/** Initializes a swarm with the engine as its first manager, which is not assigned any tasks yet (SwarmInit). */
export const initSwarm = (
  engine: Engine,
  { advertise, addressPool, labels, autolock }: NewSwarm,
  signal: AbortSignal,
): Promise<void> =>
  engine.json(
    {
      ...{ method: 'POST', path: '/swarm/init', signal },
      body: {
        ...{ ListenAddr: listenAddress, AdvertiseAddr: advertise, Availability: 'drain' },
        ...{ DefaultAddrPool: [addressPool], SubnetSize: 24 },
        Spec: { Labels: labels, EncryptionConfig: { AutoLockManagers: autolock } },
      },
    },
    nothing,
  )

/**
 * Makes a manager the only manager of its swarm, which keeps all services and nodes known to that manager (SwarmInit
 * with ForceNewCluster). The swarm keeps its ID.
 */
export const forceNewCluster = (
  engine: Engine,
  advertise: string,
  signal: AbortSignal,
): Promise<void> =>
  engine.json(
    {
      ...{ method: 'POST', path: '/swarm/init', signal },
      body: { ListenAddr: listenAddress, AdvertiseAddr: advertise, ForceNewCluster: true },
    },
    nothing,
  )

/** The tokens with which engines join a swarm (JoinTokens). Secret. */
export interface JoinTokens {
  readonly worker: string
  readonly manager: string
}

/** Reads the join tokens of a swarm from a manager (SwarmInspect). */
export async function readJoinTokens(engine: Engine, signal: AbortSignal): Promise<JoinTokens> {
  const { JoinTokens: tokens } = await engine.json(
    { path: '/swarm', signal },
    object<{ readonly JoinTokens: { readonly Worker: string; readonly Manager: string } }>({
      JoinTokens: object<{ readonly Worker: string; readonly Manager: string }>({
        Worker: text,
        Manager: text,
      }),
    }),
  )
  return { worker: tokens.Worker, manager: tokens.Manager }
}

/** The parameters for joining a swarm. */
export interface Joining {
  readonly advertise: string
  /** Addresses of managers, including ports. */
  readonly managers: readonly string[]
  /** The join token, whose kind determines the role of the node. Secret. */
  readonly token: string
}

/**
 * Makes an engine join a swarm, as a node that is not assigned any tasks yet (SwarmJoin). Throws kind `failed` with the
 * engine's message, without the token. After 20 seconds without success, the engine reports an error, but keeps trying.
 */
export async function joinSwarm(
  engine: Engine,
  { advertise, managers, token }: Joining,
  signal: AbortSignal,
): Promise<void> {
  const body = {
    ...{ ListenAddr: listenAddress, AdvertiseAddr: advertise, Availability: 'drain' },
    ...{ RemoteAddrs: managers, JoinToken: token },
  }
  try {
    await engine.json({ method: 'POST', path: '/swarm/join', body, signal }, nothing)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    const { kind, machine, hint } = error
    const message = error.message.replaceAll(token, '…').replaceAll(/SWMTKN-[\w-]*/g, 'SWMTKN-…')
    throw new UserError(kind, message, {
      ...(machine !== undefined && { machine }),
      ...(hint !== undefined && { hint }),
    })
  }
}

/** Makes an engine leave its swarm, which ends its tasks (SwarmLeave). Managers leave only with `force`. */
export const leaveSwarm = (
  engine: Engine,
  signal: AbortSignal,
  { force = false }: { readonly force?: boolean } = {},
): Promise<void> =>
  engine.json(
    { method: 'POST', path: '/swarm/leave', ...(force && { query: { force } }), signal },
    nothing,
  )
