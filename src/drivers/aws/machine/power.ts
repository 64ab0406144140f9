import {
  RebootInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import { type Look, waitUntil } from '../api/retry.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { isFailure } from '../api/errors.ts'
import { type Instance, byId, findInstances, isAlive } from '../create/instance.ts'

/** Errors while an instance changes its state. */
const isOnItsWay = isFailure(
  'IncorrectInstanceState',
  'IncorrectState',
  'InvalidInstanceID.NotFound',
)

/**
 * Waits until the instance is not changing its state, requests the new state, and waits for it.
 * Throws kind `failed` if the instance is terminated.
 */
async function bring(
  ec2: Ec2,
  id: string,
  { to, ask }: { readonly to: 'running' | 'stopped'; readonly ask: () => Promise<unknown> },
): Promise<void> {
  const from = to === 'running' ? 'stopped' : 'running'
  let isAsked = false
  let hasLeft = false
  const look = async (): Promise<Look<void>> => {
    const [instance] = await findInstances(ec2, byId(id))
    if (instance === undefined || !isAlive(instance)) throw gone(id, instance)
    if (instance.state === to) return { done: undefined }
    if (instance.state !== from) hasLeft = isAsked
    else if (hasLeft) throw turnedBack(id, from)
    if (instance.state === from && !isAsked) {
      isAsked = await ask().then(
        () => true,
        (error: unknown) => {
          if (isOnItsWay(error)) return false
          throw error
        },
      )
    }
    return { still: `${id} is ${instance.state}` }
  }
  await waitUntil(ec2.call, `instance ${to}`, look)
}

const turnedBack = (id: string, state: string): UserError =>
  new UserError('failed', `instance ${id} is ${state} again: it was switched by someone else`)

const gone = (id: string, instance: Instance | undefined): UserError =>
  new UserError('failed', `instance ${id} is ${instance?.state ?? 'gone'}: it cannot run again`, {
    hint: 'remove the machine with fleet rm, then create it again',
  })

/** Starts a stopped instance, and waits until it is running. */
export const startInstance = (ec2: Ec2, id: string): Promise<void> =>
  bring(ec2, id, {
    to: 'running',
    ask: () => ec2.send(new StartInstancesCommand({ InstanceIds: [id] })),
  })

/** Stops an instance and waits for it; with `force` without shutting its system down. */
export const stopInstance = (ec2: Ec2, id: string, { force }: { readonly force: boolean }) => {
  const how = force && { Force: true, SkipOsShutdown: true }
  return bring(ec2, id, {
    to: 'stopped',
    ask: () => ec2.send(new StopInstancesCommand({ InstanceIds: [id], ...how })),
  })
}

/**
 * Reboots a running instance, or starts a stopped one. EC2 reports a rebooting instance as running.
 */
export async function restartInstance(ec2: Ec2, id: string): Promise<void> {
  const [instance] = await findInstances(ec2, byId(id))
  if (instance?.state !== 'running') return startInstance(ec2, id)
  await ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }))
}
