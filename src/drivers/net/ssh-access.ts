import { isIPv6 } from 'node:net'
import type { HostRecord } from '../../machine/machine.ts'
import type { GetCallerAddress } from './caller-address.ts'
import { parseCidrs } from './cidrs.ts'
import type { Call } from '../driver.ts'

/**
 * Access to SSH, for drivers that manage the host's firewall. To change it, change the option with
 * `update`.
 */
export interface SshAccess {
  /** The option with the ranges that can reach SSH: `203.0.113.0/24,…`. */
  readonly option: string
  /**
   * The ranges that can reach SSH according to the record; `undefined` if fleet does not manage the
   * firewall.
   */
  allowed(host: HostRecord): Promise<readonly string[] | undefined>
  /**
   * The addresses of this computer as the host sees them, as ranges of one address. Throws kind
   * `unreachable` if they cannot be detected.
   */
  caller(host: HostRecord, call: Call): Promise<readonly string[]>
}

/** SSH access by firewall rules that fleet created and whose ranges are in the record. */
export const recordedSshAccess = (getCallerAddress: GetCallerAddress): SshAccess => ({
  option: 'sshCidr',
  async allowed({ token, resources: { sshCidr, access, reach } = {} }) {
    // A host at a private address sees a private address of this computer, which no service can
    // report; a host behind a tunnel does not see this computer.
    if (token === undefined || sshCidr === undefined) return undefined
    if (access === 'private' || reach !== undefined) return undefined
    return parseCidrs(sshCidr)
  },
  async caller({ address = '' }, call) {
    const found = await getCallerAddress(isIPv6(address) ? 6 : 4, call)
    return parseCidrs(found.address) ?? []
  },
})
