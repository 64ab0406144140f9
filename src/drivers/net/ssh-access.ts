import { isIPv6 } from 'node:net'
import type { HostRecord } from '../../machine/machine.ts'
import type { GetCallerAddress } from './caller-address.ts'
import { parseCidrs } from './cidrs.ts'
import type { Call } from '../driver.ts'

/**
 * Access to SSH, for drivers that manage the host's firewall. To change the access, change the option with `update`.
 */
export interface SshAccess {
  /** The option that contains the ranges that can reach SSH, such as `203.0.113.0/24,…`. */
  readonly option: string
  /**
   * Returns the ranges that can reach SSH according to the record; `undefined` if fleet does not
   * manage the firewall.
   */
  allowed(host: HostRecord): Promise<readonly string[] | undefined>
  /**
   * Returns this computer's addresses as the host sees them, as ranges with a single address each. Throws kind
   * `unreachable` if they cannot be detected.
   */
  caller(host: HostRecord, call: Call): Promise<readonly string[]>
  /**
   * Asks the provider for the firewall's rules, which other users may have changed. Returns the firewall's name, such
   * as `security group sg-1`, if the firewall does not allow SSH from a range; `undefined` if SSH is allowed, or if
   * fleet does not manage the firewall.
   */
  blockedBy?(host: HostRecord, range: string, call: Call): Promise<string | undefined>
}

/** Whether fleet manages the firewall of a host, and the host sees this computer's public address. */
function isManaged({ token, resources: { sshCidr, access, reach } = {} }: HostRecord): boolean {
  // A host at a private address sees a private address of this computer, which no service can report. A host behind a
  // tunnel does not see this computer's address.
  return token !== undefined && sshCidr !== undefined && access !== 'private' && reach === undefined
}

/**
 * Returns SSH access for a driver that creates firewall rules and records their ranges. `blockedBy`
 * is called only for hosts whose firewall fleet manages.
 */
export const recordedSshAccess = (
  getCallerAddress: GetCallerAddress,
  blockedBy?: NonNullable<SshAccess['blockedBy']>,
): SshAccess => ({
  option: 'sshCidr',
  async allowed(host) {
    return isManaged(host) ? parseCidrs(host.resources?.['sshCidr'] ?? '') : undefined
  },
  ...(blockedBy && {
    blockedBy: async (host, range, call) =>
      isManaged(host) ? blockedBy(host, range, call) : undefined,
  }),
  async caller({ address = '' }, call) {
    const found = await getCallerAddress(isIPv6(address) ? 6 : 4, call)
    return parseCidrs(found.address) ?? []
  },
})
