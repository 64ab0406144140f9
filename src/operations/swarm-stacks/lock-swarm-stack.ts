import type { Machine } from '../../machine/machine.ts'
import type { Progress } from '../../os/progress.ts'
import { run } from '../../transport/run.ts'
import type { Context } from '../context.ts'
import { openSwarm } from '../services/open-swarm.ts'
import { type LockOwner, type StackLock, lockStack } from '../stacks/host-store/lock.ts'
import { openStore } from '../stacks/host-store/open-store.ts'
import type { StackHost } from '../stacks/host-store/store-folder.ts'
import { machineLabel } from '../swarm/node-labels.ts'

/** Options of {@link lockSwarmStack}. */
interface SwarmLockOptions {
  readonly stack: string
  readonly owner: LockOwner
  readonly progress: Progress
  /**
   * How long to wait for another owner to release the lock, in milliseconds; absent if the command has no option
   * --wait-lock.
   */
  readonly waitMs?: number | undefined
}

/** The lock of a stack on a swarm. */
export interface SwarmStackLock extends StackLock {
  /** Removes the lock's directory from the host, after the stack has been removed. */
  removeFolder(): Promise<void>
}

/** Removes the files of a lock, and their directory if nothing else is in it. */
const removeLock = `
cd -- "$1" 2>/dev/null || exit 0
rm -f -- lock.json lock
cd .. && rmdir -- "$1" 2>/dev/null
exit 0
`

/** Finds the machine of the swarm's leader. The result is the same for all users and all managers that respond. */
async function findLeader(context: Context, swarm: string): Promise<Machine> {
  const { machines } = await (await context.inventory()).read()
  return openSwarm(context, swarm).ask(async ({ machine, nodes }) => {
    const leader = nodes.find(({ ManagerStatus }) => ManagerStatus?.Leader === true)
    const name = leader?.Spec.Labels[machineLabel]
    return [...machines.values()].find((one) => one.name === name) ?? machine
  })
}

async function removeFolder({ transport, become = [] }: StackHost, folder: string): Promise<void> {
  await run(transport, [...become, 'sh', '-c', removeLock, 'fleet', folder])
}

/** The maximum number of attempts to lock the stack on the leader's host. The leader may change between attempts. */
const maxElections = 3

/**
 * Locks a stack on the host of the swarm's leader, as stacks on machines are locked on their hosts. Throws kind
 * `locked` with the owner if another user holds the lock. An election during the work does not release the lock, but
 * another user can then get a lock on the host of the new leader.
 */
export async function lockSwarmStack(
  context: Context,
  swarm: string,
  { stack, owner, progress, waitMs }: SwarmLockOptions,
): Promise<SwarmStackLock> {
  const step = 'lock the stack'
  progress(step)
  let machine = await findLeader(context, swarm)
  for (let attempt = 1; ; attempt += 1) {
    const { host, mirror } = await openStore(context, machine, stack)
    const lock = await lockStack(host, {
      ...{ stack, folder: mirror.folder, owner, signal: context.signal, waitMs },
      onWait: (reason) => progress(step, reason),
    })
    try {
      const leader = await findLeader(context, swarm)
      if (leader.name === machine.name || attempt >= maxElections) {
        return { ...lock, removeFolder: () => removeFolder(host, mirror.folder) }
      }
      machine = leader
    } catch (error) {
      await lock[Symbol.asyncDispose]()
      throw error
    }
    await lock[Symbol.asyncDispose]()
  }
}
