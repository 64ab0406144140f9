import { type ContainerChange, changeContainer } from '../../engine/containers.ts'
import { removeImage } from '../../engine/images.ts'
import { messageOf } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { fanOut } from '../fan-out/fan-out.ts'
import { switchAndRecordPower } from '../machine/switch-power.ts'
import type { Target } from './open-sources.ts'

/** What can be done to things of a machine, or to a machine. */
export type Change = ContainerChange

/** What failed; the other changes were made. */
export interface ChangeFailure {
  readonly target: Target
  readonly reason: string
}

/** How many changes are made at the same time. */
const concurrency = 8

async function changeOne(
  context: Context,
  machine: Machine,
  target: Target,
  change: Change,
): Promise<void> {
  if (target.kind === 'container') {
    return changeContainer(await context.engine(machine), target.id, change, context.signal)
  }
  if (target.kind === 'image') {
    // By its ID, an image with several names would be refused.
    return removeImage(await context.engine(machine), target.name, context.signal)
  }
  if (change !== 'start' && change !== 'stop')
    throw new Error(`no such change of a machine: ${change}`)
  await switchAndRecordPower(context, machine, change, {
    progress: () => {},
    signal: context.signal,
  })
}

/** Makes a change to several things, and returns what failed. */
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
