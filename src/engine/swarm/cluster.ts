import { UserError } from '../../errors.ts'
import { flag, nothing, number, object, text, whole, withDefault } from '../answer.ts'
import type { Engine } from '../engine.ts'

/** The settings of a cluster (SwarmSpec), of which fleet knows some. An update must contain all. */
interface ClusterSpec {
  readonly EncryptionConfig?: { readonly AutoLockManagers: boolean } | undefined
  readonly CAConfig?: Readonly<Record<string, unknown>> | undefined
}

const readCluster = object<{
  readonly Version: { readonly Index: number }
  readonly Spec: ClusterSpec & Readonly<Record<string, unknown>>
}>({
  Version: object<{ readonly Index: number }>({ Index: withDefault(number, 0) }),
  Spec: whole<ClusterSpec>({
    EncryptionConfig: withDefault(
      object<{ readonly AutoLockManagers: boolean }>({
        AutoLockManagers: withDefault(flag, false),
      }),
      { AutoLockManagers: false },
    ),
    CAConfig: withDefault(whole({}), {}),
  }),
})

/** What an update of a cluster changes. */
export interface ClusterUpdate {
  readonly autolock?: boolean
  /** Makes new keys and certificates of all nodes, from a new certificate authority. */
  readonly rotatesCa?: boolean
  readonly rotatesTokens?: boolean
  readonly rotatesUnlockKey?: boolean
}

/** How often an update is repeated when another one came in between. */
const maxUpdates = 10

/** Changes a cluster (SwarmUpdate). Needs a manager. */
export async function updateCluster(
  engine: Engine,
  { autolock, rotatesCa, rotatesTokens, rotatesUnlockKey }: ClusterUpdate,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { Version, Spec } = await engine.json({ path: '/swarm', signal }, readCluster)
    const ca = Spec.CAConfig ?? {}
    const rotations = Number(ca['ForceRotate'] ?? 0) + 1
    const body = {
      ...Spec,
      ...(autolock !== undefined && { EncryptionConfig: { AutoLockManagers: autolock } }),
      ...(rotatesCa === true && {
        CAConfig: { ...ca, SigningCACert: '', SigningCAKey: '', ForceRotate: rotations },
      }),
    }
    const query = {
      version: Version.Index,
      ...(rotatesTokens === true && { rotateWorkerToken: true, rotateManagerToken: true }),
      ...(rotatesUnlockKey === true && { rotateManagerUnlockKey: true }),
    }
    try {
      await engine.json({ method: 'POST', path: '/swarm/update', query, body, signal }, nothing)
      return
    } catch (error) {
      const isOutdated = error instanceof UserError && /out of sequence/.test(error.message)
      if (!isOutdated || attempt >= maxUpdates) throw error
    }
  }
}

/** Whether the managers of a cluster need a key after a restart. Needs a manager. */
export async function isAutolocked(engine: Engine, signal: AbortSignal): Promise<boolean> {
  const { Spec } = await engine.json({ path: '/swarm', signal }, readCluster)
  return Spec.EncryptionConfig?.AutoLockManagers === true
}

/** Reads the key that unlocks managers (SwarmUnlockkey). Secret; empty if the swarm is not locked automatically. */
export async function readUnlockKey(engine: Engine, signal: AbortSignal): Promise<string> {
  const { UnlockKey: key } = await engine.json(
    { path: '/swarm/unlockkey', signal },
    object<{ readonly UnlockKey: string }>({ UnlockKey: withDefault(text, '') }),
  )
  return key
}

/** Unlocks a manager (SwarmUnlock). Throws kind `failed` with the reason of the engine, without the key. */
export async function unlockSwarm(engine: Engine, key: string, signal: AbortSignal): Promise<void> {
  const body = { UnlockKey: key }
  try {
    await engine.json({ method: 'POST', path: '/swarm/unlock', body, signal }, nothing)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    const message = error.message.replaceAll(key, '…').replaceAll(/SWMKEY-[\w+/-]*/g, 'SWMKEY-…')
    throw new UserError(error.kind, message, { machine: error.machine, hint: error.hint })
  }
}
