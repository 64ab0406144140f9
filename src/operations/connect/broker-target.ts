import { type Machine, hostOf } from '../../machine/machine.ts'
import type { BrokerTarget } from '../../broker/protocol.ts'
import type { Context } from '../context.ts'
import { describeLogin } from './describe-login.ts'
import { findJumpHosts } from './jump-host.ts'

/** What the broker is told of a host, which it knows nothing about otherwise. The host has an address. */
export async function describeTarget(
  context: Pick<Context, 'inventory' | 'keys' | 'env'>,
  machine: Machine,
): Promise<BrokerTarget> {
  const describe = async (one: Machine, via?: BrokerTarget): Promise<BrokerTarget> => {
    const login = await describeLogin(context, { ...one, host: hostOf(one) })
    return { ...login, ...(via && { via }) }
  }
  let via: BrokerTarget | undefined
  for (const jump of (await findJumpHosts(context, machine)).toReversed()) {
    // This computer as a jump host is where the broker is anyway.
    via = hostOf(jump).address === undefined ? undefined : await describe(jump, via)
  }
  return describe(machine, via)
}
