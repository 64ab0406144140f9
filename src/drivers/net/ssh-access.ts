import { isIPv6 } from 'node:net'
import type { HostRecord } from '../../machine/machine.ts'
import type { AskCaller } from './caller-address.ts'
import { parseCidrs } from './cidrs.ts'
import type { Call } from '../driver.ts'

/** Who reaches SSH of hosts, of a driver that keeps the firewall which decides that. Opening it is a change of `reshape`. */
export interface SshAccess {
  /** The option that says from where SSH is reached: `203.0.113.0/24,…`. */
  readonly option: string
  /** The ranges that SSH of a host is open to, as far as fleet opened it; nothing where its firewall is not fleet's. */
  allowed(host: HostRecord): Promise<readonly string[] | undefined>
  /** This computer, as hosts with such an address see it: ranges of one address each. Throws kind `unreachable` where nobody tells. */
  caller(host: HostRecord, call: Call): Promise<readonly string[]>
}

/** Access by rules that fleet made for a host, and whose ranges it noted in the record. */
export const notedSshAccess = (askCaller: AskCaller): SshAccess => ({
  option: 'sshCidr',
  async allowed({ token, resources: { sshCidr, access } = {} }) {
    // At a private address, a host sees this computer at one that nobody outside can tell.
    if (token === undefined || sshCidr === undefined || access === 'private') return undefined
    return parseCidrs(sshCidr)
  },
  async caller({ address = '' }, call) {
    const found = await askCaller(isIPv6(address) ? 6 : 4, call)
    return parseCidrs(found.address) ?? []
  },
})
