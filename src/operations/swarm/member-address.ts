import { lookup } from 'node:dns/promises'
import { UserError, messageOf } from '../../errors.ts'
import { type Machine, hasProvider, requireHost } from '../../machine/machine.ts'
import { type HostNetworks, numberOf, privateAddress, sharedAddress } from './host-networks.ts'

/** Returns the IP address in the inventory, for hosts that share no network with the other nodes. */
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
 * Returns the address that a machine advertises to the other nodes: an address in a network that it shares with them,
 * or else the private address of a host that fleet created, or else the address in the inventory. `peers`: for each of
 * the other nodes, its addresses.
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
