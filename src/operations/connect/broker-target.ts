import { type Machine, requireHost } from '../../machine/machine.ts'
import type { BrokerTarget } from '../../broker/protocol.ts'
import type { Context } from '../context.ts'
import { describeLogin } from './describe-login.ts'
import { findJumpHosts } from './jump-host.ts'

/** Describes for the broker how to log in to a host, including its jump hosts. The host must have an address. */
export async function describeTarget(
  context: Pick<Context, 'inventory' | 'keys' | 'env' | 'trust' | 'driver'>,
  machine: Machine,
): Promise<BrokerTarget> {
  const describe = async (one: Machine, via?: BrokerTarget): Promise<BrokerTarget> => {
    const login = await describeLogin(context, { ...one, host: requireHost(one) })
    return { ...login, ...(via && { via }) }
  }
  let via: BrokerTarget | undefined
  for (const jump of (await findJumpHosts(context, machine)).toReversed()) {
    // A jump host without an address is this computer, where the broker itself runs.
    via = requireHost(jump).address === undefined ? undefined : await describe(jump, via)
  }
  return describe(machine, via)
}
