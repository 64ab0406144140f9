import { type ContainerChange, changeContainer } from '../../engine/containers.ts'
import { removeImage } from '../../engine/images.ts'
import { removeService } from '../../engine/swarm/services.ts'
import { messageOf } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { fanOut } from '../fan-out/fan-out.ts'
import { switchAndRecordPower } from '../machine/switch-power.ts'
import { changeService, rollBack } from '../services/change-service.ts'
import { openSwarm } from '../services/open-swarm.ts'
import type { Target } from './open-sources.ts'

/** A change to a container, an image, a service or a machine. */
export type Change = ContainerChange | 'rollback' | { readonly replicas: number }

/** A change that failed while the other changes were made. */
export interface ChangeFailure {
  readonly target: Target
  readonly reason: string
}

/** The maximum number of changes that are made at the same time. */
const concurrency = 8

/** Changes a service, without waiting for its tasks. */
async function changeOneService(
  context: Context,
  { machine, id }: { readonly machine: string; readonly id: string },
  change: Change,
): Promise<void> {
  const swarm = openSwarm(context, machine)
  const { signal } = context
  const options = { progress: () => {}, signal }
  if (change === 'rm') return swarm.change(({ engine }) => removeService(engine, id, signal))
  if (change === 'rollback') await rollBack(context, swarm, id, options)
  else {
    const wanted = typeof change === 'object' ? change : { force: true }
    await changeService(context, swarm, id, { ...wanted, resolveImage: false }, options)
  }
}

async function changeOne(
  context: Context,
  machine: Machine,
  target: Target,
  change: Change,
): Promise<void> {
  if (target.kind === 'container' && typeof change === 'string' && change !== 'rollback') {
    return changeContainer(await context.engine(machine), target.id, change, context.signal)
  }
  if (target.kind === 'image') {
    // Use the name: an image that has several names cannot be removed by its ID.
    return removeImage(await context.engine(machine), target.name, context.signal)
  }
  if (change !== 'start' && change !== 'stop')
    throw new Error(`unknown action for a ${target.kind}: ${JSON.stringify(change)}`)
  await switchAndRecordPower(context, machine, change, {
    progress: () => {},
    signal: context.signal,
  })
}

/** Makes a change to several targets. Resolves to the changes that failed. */
export async function changeTargets(
  context: Context,
  targets: readonly Target[],
  change: Change,
): Promise<readonly ChangeFailure[]> {
  const { machines } = await (await context.inventory()).read()
  const work = targets.map((target) => ({ name: target.machine, target }))
  const failures: ChangeFailure[] = []
  const outcomes = fanOut(
    work,
    async ({ name, target }, signal) => {
      if (target.kind === 'service') {
        return changeOneService(context.with({ signal }), target, change)
      }
      const machine = [...machines.values()].find((one) => one.name === name)
      if (machine === undefined) throw new Error(`${name} is no longer in the inventory`)
      await changeOne(context.with({ signal }), machine, target, change)
    },
    { signal: context.signal, concurrency },
  )
  for await (const outcome of outcomes) {
    if ('error' in outcome) {
      failures.push({ target: outcome.machine.target, reason: messageOf(outcome.error) })
    }
  }
  return failures
}
