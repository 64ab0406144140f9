import { lookup } from 'node:dns/promises'
import { UserError, messageOf } from '../../errors.ts'
import { type Machine, hasProvider, requireHost } from '../../machine/machine.ts'
import { type HostNetworks, numberOf, privateAddress, sharedAddress } from './host-networks.ts'

/** The IP address of the entry, for hosts that share no network with the others. */
async function entryAddress(machine: Machine): Promise<string> {
  const { address } = requireHost(machine)
  if (address === undefined) {
    throw new UserError(
      'failed',
      'the machine shares no network with the other machines in the swarm',
      {
        machine: machine.name,
      },
    )
  }
  if (numberOf(address) !== undefined) return address
  try {
    return (await lookup(address)).address
  } catch (error) {
    throw new UserError('failed', `cannot resolve ${address}: ${messageOf(error)}`, {
      machine: machine.name,
    })
  }
}

/**
 * The address that a machine tells the other nodes: one in a network that it shares with them; else the private address of a host
 * that fleet created; else the address of its entry. `peers`: the addresses of each other node.
 */
export async function memberAddress(
  machine: Machine,
  networks: HostNetworks,
  peers: readonly (readonly string[])[],
): Promise<string> {
  const shared = sharedAddress(networks, peers)
  if (shared !== undefined) return shared
  const own = hasProvider(machine.driver) ? privateAddress(networks) : undefined
  return own ?? entryAddress(machine)
}
