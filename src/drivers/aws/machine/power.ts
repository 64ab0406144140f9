import {
  RebootInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import { type PollResult, waitUntil } from '../api/retry.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { isFailure } from '../api/errors.ts'
import { type Instance, byId, findInstances, isAlive } from '../create/instance.ts'

/** Errors that EC2 reports while an instance is changing its state. */
const isChangingState = isFailure(
  'IncorrectInstanceState',
  'IncorrectState',
  'InvalidInstanceID.NotFound',
)

/**
 * Waits until the instance is not changing its state, requests the new state, and waits until it is reached. Throws
 * kind `failed` if the instance is terminated.
 */
async function changeState(
  ec2: Ec2,
  id: string,
  { to, request }: { readonly to: 'running' | 'stopped'; readonly request: () => Promise<unknown> },
): Promise<void> {
  const from = to === 'running' ? 'stopped' : 'running'
  let isAsked = false
  let hasLeft = false
  const check = async (): Promise<PollResult<void>> => {
    const [instance] = await findInstances(ec2, byId(id))
    if (instance === undefined || !isAlive(instance)) throw goneError(id, instance)
    if (instance.state === to) return { done: undefined }
    if (instance.state !== from) hasLeft = isAsked
    else if (hasLeft) throw revertedError(id, from)
    if (instance.state === from && !isAsked) {
      isAsked = await request().then(
        () => true,
        (error: unknown) => {
          if (isChangingState(error)) return false
          throw error
        },
      )
    }
    return { pending: `${id} is ${instance.state}` }
  }
  await waitUntil(ec2.call, `${to === 'running' ? 'start' : 'stop'} the instance`, check)
}

const revertedError = (id: string, state: string): UserError =>
  new UserError('failed', `instance ${id} is ${state} again: someone else changed its power state`)

const goneError = (id: string, instance: Instance | undefined): UserError =>
  new UserError(
    'failed',
    `instance ${id} ${instance === undefined ? 'no longer exists' : `is ${instance.state} and cannot be started again`}`,
    {
      hint: 'remove the machine with fleet rm, then create it again',
    },
  )

/** Starts a stopped instance, and waits until it is running. */
export const startInstance = (ec2: Ec2, id: string): Promise<void> =>
  changeState(ec2, id, {
    to: 'running',
    request: () => ec2.send(new StartInstancesCommand({ InstanceIds: [id] })),
  })

/** Stops an instance and waits until it is stopped. With `force`, its operating system is not shut down first. */
export const stopInstance = (ec2: Ec2, id: string, { force }: { readonly force: boolean }) => {
  const how = force && { Force: true, SkipOsShutdown: true }
  return changeState(ec2, id, {
    to: 'stopped',
    request: () => ec2.send(new StopInstancesCommand({ InstanceIds: [id], ...how })),
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
