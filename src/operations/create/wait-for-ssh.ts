import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../../errors.ts'
import type { ReadyMachine } from '../../machine/machine.ts'
import { connectSsh } from '../../transport/ssh/connect.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Context, Progress } from '../context.ts'
import { describeLogin } from '../connect/describe-login.ts'
import { connectJumpHost } from '../connect/jump-host.ts'

/** How long a host may take from being switched on to letting fleet in, in milliseconds. */
const bootTime = 10 * 60_000

/** Waits between attempts, in milliseconds: from the first to the longest. */
const [firstPause, longestPause] = [250, 2000]

/** A host that boots should greet an attempt within this time, in milliseconds; then comes the next. */
const greetingTime = 10_000

/** How long it may take from there, in milliseconds: a virtual machine without the processor's help takes half a minute. */
const loginTime = 60_000

const tooLate = ({ name }: ReadyMachine, error: UserError): UserError =>
  new UserError(
    'unreachable',
    `cannot log in to ${name} after ${bootTime / 60_000} minutes: ${error.message}`,
    {
      machine: name,
      hint: 'check its console and the firewall, then run the same command again',
      cause: error,
    },
  )

/**
 * Connects to a host that boots, once it lets fleet in. Only that it cannot be reached yet is waited for: a key that it
 * turns down, or one of its own that is not pinned, fails at once.
 */
export async function waitForSsh(
  context: Pick<Context, 'signal' | 'env' | 'keys' | 'inventory' | 'connect'>,
  machine: ReadyMachine,
  progress: Progress,
): Promise<Transport> {
  const { signal, env } = context
  const login = await describeLogin(context, machine)
  const target = { ...login, via: await connectJumpHost(context, machine) }
  const deadline = Date.now() + bootTime
  for (let pause = firstPause; ; pause = Math.min(1.5 * pause, longestPause)) {
    progress('wait for SSH')
    try {
      return await connectSsh(target, {
        signal,
        env,
        connectTimeoutMs: greetingTime,
        loginTimeoutMs: loginTime,
      })
    } catch (error) {
      if (!(error instanceof UserError && error.kind === 'unreachable')) throw error
      if (Date.now() > deadline) throw tooLate(machine, error)
      progress('wait for SSH', error.message)
    }
    await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}
