import { readUnlockKey, unlockSwarm } from '../../engine/swarm/cluster.ts'
import { readSwarmInfo } from '../../engine/swarm/info.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { rolesOf } from '../../machine/swarms.ts'
import { ignored } from '../../os/trace.ts'
import type { Context } from '../context.ts'
import { type SwarmCalls, type Work, waitFor } from './apply/node-work.ts'
import { findManager, initializedSwarm } from './find-manager.ts'
import { answerOf, observeSwarms } from './observe-swarms.ts'

/** The managers of a swarm whose engines are waiting for the unlock key. */
export interface LockedManagers {
  readonly swarm: string
  readonly machines: readonly Machine[]
}

/** Finds the locked managers of a swarm. */
export async function findLocked(
  context: Context,
  name: string,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<LockedManagers> {
  const { inventory, swarm } = await initializedSwarm(context, name)
  const all = [...inventory.machines.values()]
  const roles = rolesOf(swarm, all)
  const members = all.filter((machine) => roles.has(machine.name))
  const observed = await observeSwarms(context, members, { timeoutMs })
  const machines = members.filter((machine) => answerOf(observed, machine.name)?.state === 'locked')
  return { swarm: name, machines }
}

/** Reads the unlock key of a swarm, which is secret, from a manager that responds. Undefined if there is no key. */
export async function findUnlockKey(
  context: Context,
  swarm: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const ask = async (): Promise<string> => {
    const { engine } = await findManager(context, swarm, { signal })
    return readUnlockKey(engine, signal)
  }
  const key = await ask().catch(ignored('engine', `read the unlock key for swarm ${swarm}`))
  signal.throwIfAborted()
  return key === '' ? undefined : key
}

/** Unlocks one manager, and waits until its node is active. `key` is secret. */
export async function unlockMember(
  context: Context,
  {
    swarm,
    machine,
    key,
  }: { readonly swarm: string; readonly machine: Machine; readonly key: string },
  calls: SwarmCalls,
): Promise<{ readonly swarm: string; readonly machine: string }> {
  const { signal, progress } = calls
  const own = context.with({ signal })
  const engine = await own.engine(machine)
  progress('unlock the manager')
  await unlockSwarm(engine, key, signal).catch((error: unknown) => {
    if (!(error instanceof UserError) || error.kind !== 'failed') throw error
    throw new UserError('failed', `cannot unlock the manager: ${error.message}`, {
      machine: machine.name,
      hint: 'the key may have been rotated while the engine was stopped: use the previous key',
    })
  })
  const work: Work = { ...calls, context: own, swarm, machine }
  await waitFor(
    work,
    async () => ((await readSwarmInfo(engine, signal)).state === 'active' ? true : undefined),
    () => 'the manager was unlocked, but has not rejoined its swarm',
    { hint: `to see the swarm's nodes: fleet swarm status ${swarm}` },
  )
  return { swarm, machine: machine.name }
}
