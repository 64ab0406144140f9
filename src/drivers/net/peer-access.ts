import type { HostRecord } from '../../machine/machine.ts'
import type { MachineName } from '../../machine/name.ts'
import type { Call, DriverState } from '../driver.ts'
import type { PortRange } from './ports.ts'

/** A group of hosts, such as the nodes of a swarm, that open some ports only to each other. */
export interface PeerGroup {
  /** The ID of the inventory. */
  readonly fleet: string
  /** The name of the swarm, which is unique in the inventory. */
  readonly name: string
  readonly ports: readonly PortRange[]
  /** Tags for every resource, to be set in the call that creates it. */
  readonly tags: Readonly<Record<string, string>>
}

/** A host's access to its peers. */
export interface PeerState {
  /** The network in which the hosts of the group reach each other, for messages, such as `vpc-0abc`. */
  readonly network: string
  /** Whether the host is in the provider's group. */
  readonly isMember: boolean
  /** What keeps the host from reaching its peers, for messages, such as `sg-0abc has no rule for 2377/tcp`. */
  readonly missing?: string
}

/**
 * Opening ports between hosts, for drivers that manage the hosts' firewalls. The source of each rule is the group
 * itself, never a range of addresses.
 */
export interface PeerAccess {
  /**
   * Returns the state of hosts with as few requests as possible. Hosts whose firewall fleet does not
   * manage are absent from the result. Changes nothing.
   */
  observe(
    hosts: ReadonlyMap<MachineName, HostRecord>,
    group: PeerGroup,
    call: Call,
  ): Promise<ReadonlyMap<MachineName, PeerState>>
  /**
   * Adds a host to the group, and creates the group's missing resources and rules. Several hosts can be added at the
   * same time, even by different users. `record` stores values in the host's record before the host uses a resource, so
   * that `Lifecycle.remove` finds the resource. The values are durable once the promise resolves.
   */
  open(
    host: HostRecord,
    group: PeerGroup,
    record: (resources: DriverState) => Promise<void>,
    call: Call,
  ): Promise<void>
  /**
   * Removes a host from the group. If it was the last host, also removes the resources that were created for the group.
   * Returns the resources to record (`undefined` to remove a value).
   */
  close(
    host: HostRecord,
    group: PeerGroup,
    call: Call,
  ): Promise<Readonly<Record<string, string | undefined>>>
}
