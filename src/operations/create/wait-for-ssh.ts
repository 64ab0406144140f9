import { UserError } from '../../errors.ts'
import type { ReadyMachine } from '../../machine/machine.ts'
import { connectHost } from '../../transport/connect.ts'
import { proxyConnectTimeoutMs } from '../../transport/ssh/connect.ts'
import { isPermanent } from '../../transport/ssh/connection-errors.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Context } from '../context.ts'
import type { Progress } from '../../os/progress.ts'
import { describeLogin } from '../connect/describe-login.ts'
import { connectJumpHost } from '../connect/jump-host.ts'
import { retry } from '../../os/retry.ts'

/** How long a host may take from power-on to the first login, in milliseconds. */
const bootTime = 10 * 60_000

/** Pauses between attempts, in milliseconds. */
const pauses = { pauseMs: 250, longestMs: 2000 }

/** How long to wait for the SSH greeting of a booting host before the next attempt, in milliseconds. */
const greetingTime = 10_000

/**
 * How long the login may take after the greeting, in milliseconds. It takes half a minute on an emulated virtual
 * machine.
 */
const loginTime = 60_000

/** Whether a host may still accept a login later, despite this error. */
const mayBecomeReady = (error: unknown): error is UserError =>
  error instanceof UserError && error.kind === 'unreachable' && !isPermanent(error)

const tooLate = ({ name }: ReadyMachine, error: UserError): UserError =>
  new UserError(
    'unreachable',
    `could not log in to ${name} within ${bootTime / 60_000} minutes: ${error.message}`,
    {
      machine: name,
      hint: "check the host's console and firewall, then run the command again",
      cause: error,
    },
  )

/**
 * Connects to a booting host, and retries while it is unreachable. Fails immediately for a rejected login key, an
 * unexpected host key, a missing program or a missing permission.
 */
export async function waitForSsh(
  context: Pick<Context, 'signal' | 'env' | 'keys' | 'inventory' | 'trust' | 'connect' | 'driver'>,
  machine: ReadyMachine,
  progress: Progress,
): Promise<Transport> {
  const { signal, env } = context
  const login = await describeLogin(context, machine)
  const target = { ...login, via: await connectJumpHost(context, machine) }
  const attempt = (): Promise<Transport> => {
    progress('wait for SSH')
    return connectHost(target, {
      signal,
      env,
      connectTimeoutMs: login.proxyCommand ? proxyConnectTimeoutMs : greetingTime,
      loginTimeoutMs: loginTime,
    })
  }
  const canRetry = (error: unknown): boolean => {
    if (!mayBecomeReady(error)) return false
    progress('wait for SSH', error.message)
    return true
  }
  try {
    return await retry(attempt, { canRetry, signal, ...pauses, withinMs: bootTime })
  } catch (error) {
    if (signal.aborted || !mayBecomeReady(error)) throw error
    throw tooLate(machine, error)
  }
}
