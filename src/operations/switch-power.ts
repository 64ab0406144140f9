import type { Power } from '../drivers/driver.ts'
import { UserError } from '../errors.ts'
import { type Machine, type ReadyMachine, hostOf } from '../machine/machine.ts'
import { awaitLogin } from './await-login.ts'
import type { Context, Progress } from './context.ts'
import { findAddress } from './find-address.ts'

/** What can be done to a host's power. */
export type PowerVerb = keyof Power

/** What switching tells, and what stops it. */
interface PowerCalls {
  readonly progress: Progress
  readonly signal: AbortSignal
}

/**
 * Switches a machine, and looks its address up again, which may be another one then. One that is started or restarted lets
 * fleet in once this resolves. Throws kind `unsupported` where the driver cannot switch its hosts.
 */
export async function switchPower(
  context: Context,
  machine: Machine,
  verb: PowerVerb,
  calls: PowerCalls,
): Promise<ReadyMachine> {
  const host = hostOf(machine)
  const { power } = await context.loadDriver(machine.driver)
  if (power === undefined) {
    throw new UserError('unsupported', `machines of the driver ${machine.driver} cannot ${verb}`, {
      machine: machine.name,
      hint: `do it on the host itself: fleet ssh ${machine.name}`,
    })
  }
  await power[verb](host, calls)
  const { machine: found } = await findAddress(context, { ...machine, host }, calls)
  if (verb === 'start' || verb === 'restart') {
    const transport = await awaitLogin({ ...context, signal: calls.signal }, found, calls.progress)
    await transport[Symbol.asyncDispose]()
  }
  return found
}
