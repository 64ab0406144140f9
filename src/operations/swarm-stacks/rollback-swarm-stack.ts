import { UserError } from '../../errors.ts'
import type { Context } from '../context.ts'
import { openSwarm } from '../services/open-swarm.ts'
import { currentOwner } from '../stacks/host-store/lock-owner.ts'
import type { DeployCalls } from '../stacks/run-release.ts'
import { deployFile } from './deploy-swarm-stack.ts'
import { lockSwarmStack } from './lock-swarm-stack.ts'
import { provideImages } from './node-images.ts'
import { endRelease, fileOf, readSwarmReleases } from './releases.ts'

/** The result of a rollback. */
export interface SwarmRollback {
  readonly stack: string
  readonly machine: string
  readonly from?: number
  readonly release: number
}

/**
 * Deploys the file of an earlier release again. Its images must still be on the nodes, or in a registry. Throws kind
 * `locked` while another user changes the stack.
 */
export async function rollBackSwarmStack(
  shared: Context,
  swarmName: string,
  {
    stack,
    number,
    wait,
  }: { readonly stack: string; readonly number: number; readonly wait: number },
  { progress }: DeployCalls,
): Promise<SwarmRollback> {
  const owner = currentOwner(`roll back ${stack}`)
  await using lock = await lockSwarmStack(shared, swarmName, { stack, owner, progress })
  const { signal } = lock
  const context = shared.with({ signal })
  const swarm = openSwarm(context, swarmName)
  const calls = { progress, signal }
  const [machine, releases] = await swarm.ask(async ({ engine, machine }) => [
    machine.name,
    await readSwarmReleases(engine, stack, signal),
  ])
  const release = releases.find((one) => one.number === number)
  if (release === undefined) throw new UserError('failed', `release ${number} was removed`)
  const from = releases.find(({ isCurrent }) => isCurrent)?.number
  const file = fileOf(release)
  const options = { built: new Set<string>(), build: () => Promise.resolve() }
  const resolvesImages = await provideImages(context, swarm, file, options, calls)
  await deployFile(context, swarm, { stack, file, resolvesImages, wait }, calls)
  await swarm.ask(({ engine }) => endRelease(engine, stack, number, 'ready', signal))
  return { stack, machine, ...(from !== undefined && { from }), release: number }
}
