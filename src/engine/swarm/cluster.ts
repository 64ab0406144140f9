import { UserError } from '../../errors.ts'
import { flag, nothing, object, text, whole, withDefault } from '../answer.ts'
import type { Engine } from '../engine.ts'
import { type Version, readVersion, sendUpdate } from './versions.ts'

/**
 * The settings of a cluster (SwarmSpec). Only the fields that fleet uses are typed, but an update must contain all
 * fields.
 */
interface ClusterSpec {
  readonly EncryptionConfig?: { readonly AutoLockManagers: boolean } | undefined
  readonly CAConfig?: Readonly<Record<string, unknown>> | undefined
}

const readCluster = object<{
  readonly Version: Version
  readonly RootRotationInProgress: boolean
  readonly Spec: ClusterSpec & Readonly<Record<string, unknown>>
}>({
  Version: readVersion,
  RootRotationInProgress: withDefault(flag, false),
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

/** The changes to make in a cluster update. */
export interface ClusterUpdate {
  readonly autolock?: boolean
  /** Whether to create a new certificate authority, and new keys and certificates for all nodes. */
  readonly rotatesCa?: boolean
  readonly rotatesTokens?: boolean
  readonly rotatesUnlockKey?: boolean
}

/** Changes a cluster (SwarmUpdate). Requires a manager. */
export async function updateCluster(
  engine: Engine,
  { autolock, rotatesCa, rotatesTokens, rotatesUnlockKey }: ClusterUpdate,
  signal: AbortSignal,
): Promise<void> {
  await sendUpdate(async () => {
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
    await engine.json({ method: 'POST', path: '/swarm/update', query, body, signal }, nothing)
  })
}

/** Whether the managers of a cluster need the unlock key after a restart. Requires a manager. */
export async function isAutolocked(engine: Engine, signal: AbortSignal): Promise<boolean> {
  const { Spec } = await engine.json({ path: '/swarm', signal }, readCluster)
  return Spec.EncryptionConfig?.AutoLockManagers === true
}

/** Whether nodes still have certificates from the previous certificate authority. Requires a manager. */
export async function isRotatingCa(engine: Engine, signal: AbortSignal): Promise<boolean> {
  const { RootRotationInProgress } = await engine.json({ path: '/swarm', signal }, readCluster)
  return RootRotationInProgress
}

/** Reads the key that unlocks managers (SwarmUnlockkey). Secret; empty if autolock is disabled in the swarm. */
export async function readUnlockKey(engine: Engine, signal: AbortSignal): Promise<string> {
  const { UnlockKey: key } = await engine.json(
    { path: '/swarm/unlockkey', signal },
    object<{ readonly UnlockKey: string }>({ UnlockKey: withDefault(text, '') }),
  )
  return key
}

/** Unlocks a manager (SwarmUnlock). Throws kind `failed` with the engine's message, without the key. */
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
