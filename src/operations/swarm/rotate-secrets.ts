import { isAutolocked, updateCluster } from '../../engine/swarm/cluster.ts'
import { UserError } from '../../errors.ts'
import type { Context } from '../context.ts'
import { findManager } from './find-manager.ts'

/** Replaces secrets of a swarm. Throws kind `usage` for the unlock key of a swarm without autolock. */
export async function rotateSecrets(
  context: Context,
  swarm: string,
  rotated: { readonly tokens: boolean; readonly unlockKey: boolean; readonly ca: boolean },
): Promise<void> {
  const { signal } = context
  const { engine } = await findManager(context, swarm, { signal })
  if (rotated.unlockKey && !(await isAutolocked(engine, signal))) {
    throw new UserError('usage', `swarm ${swarm} has no unlock key`, {
      hint: 'set "autolock: true" in its entry, and run fleet apply',
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
}
