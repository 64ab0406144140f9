import { isAutolocked, isRotatingCa, updateCluster } from '../../engine/swarm/cluster.ts'
import { UserError } from '../../errors.ts'
import type { Progress } from '../../os/progress.ts'
import { poll } from '../../os/retry.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { findManager } from './find-manager.ts'

/** How long the nodes may take to get new certificates, in milliseconds. */
const certificatesMs = 3 * 60_000

/**
 * Replaces secrets of a swarm: the join tokens, the unlock key, or the CA. After replacing the CA, waits until all
 * nodes have new certificates. Throws kind `usage` for the unlock key of a swarm that does not use autolock.
 */
export async function rotateSecrets(
  context: Context,
  swarm: string,
  rotated: { readonly tokens: boolean; readonly unlockKey: boolean; readonly ca: boolean },
  progress: Progress,
): Promise<void> {
  const { signal } = context
  const { engine } = await findManager(context, swarm, { signal })
  if (rotated.unlockKey && !(await isAutolocked(engine, signal))) {
    throw new UserError('usage', `swarm ${swarm} has no unlock key`, {
      hint: 'set "autolock: true" in the swarm\'s entry and run fleet apply',
    })
  }
  await updateCluster(
    engine,
    {
      ...{ rotatesTokens: rotated.tokens, rotatesUnlockKey: rotated.unlockKey },
      rotatesCa: rotated.ca,
    },
    signal,
  )
  if (!rotated.ca) return
  progress('wait until all nodes have new certificates')
  const isDone = async (): Promise<true | undefined> => {
    const manager = await findManager(context, swarm, { signal })
    return (await isRotatingCa(manager.engine, signal)) ? undefined : true
  }
  await poll<true | undefined>(() => isDone().catch(ignored('engine', 'check the certificates')), {
    ...{ signal, pauseMs: 500, withinMs: certificatesMs },
    otherwise: () => {
      throw new UserError(
        'failed',
        `some nodes in swarm ${swarm} do not have new certificates yet`,
        {
          hint: `nodes get new certificates once they are reachable; to see their state: fleet swarm status ${swarm}`,
        },
      )
    },
  })
}
