import type { Call } from '../../driver.ts'
import type { GetCallerAddress, CallerAddress } from '../../net/caller-address.ts'
import { hostBitsNotes, parseCidrs } from '../../net/cidrs.ts'
import type { AwsOptions } from '../options.ts'
import type { IngressRules } from './security-groups.ts'
import { parsePorts } from '../../net/ports.ts'

/** Address families that the host can have. */
export interface Families {
  readonly ipv4: boolean
  readonly ipv6: boolean
}

/** Returns this computer's public addresses. If the host also has IPv4, a missing IPv6 address is not an error. */
async function getCallerAddresses(
  { ipv4, ipv6 }: Families,
  getAddress: GetCallerAddress,
  call: Call,
): Promise<readonly CallerAddress[]> {
  const [over4, over6] = await Promise.all([
    ipv4 ? getAddress(4, call) : undefined,
    ipv6
      ? getAddress(6, call).catch((error: unknown) =>
          ipv4 ? undefined : Promise.reject(error as Error),
        )
      : undefined,
  ])
  call.signal.throwIfAborted()
  return [over4, over6].filter((found) => found !== undefined)
}

/**
 * Returns the ingress rules for a host, and notes for the user. There are no rules if the user chose their own security
 * groups. Throws kind `unreachable` if the caller's address is needed and cannot be detected.
 */
export async function decideIngressRules(
  options: AwsOptions,
  families: Families,
  getAddress: GetCallerAddress,
  call: Call,
): Promise<{ readonly ingressRules: IngressRules | undefined; readonly notes: readonly string[] }> {
  if (options.securityGroups !== undefined) {
    return { ingressRules: undefined, notes: ['your own security groups control access'] }
  }
  const ports = options.ports === undefined ? [] : (parsePorts(options.ports) ?? [])
  const open = options.ports === undefined ? [] : [`ports open to everyone: ${options.ports}`]
  if (options.sshCidr !== undefined) {
    const sshCidrs = parseCidrs(options.sshCidr) ?? []
    return {
      ingressRules: { sshCidrs, ports },
      notes: [`SSH is open to ${sshCidrs.join(', ')}`, ...hostBitsNotes(options.sshCidr), ...open],
    }
  }
  if (options.reach === 'ssm') return { ingressRules: { sshCidrs: [], ports }, notes: open }
  const found = await getCallerAddresses(families, getAddress, call)
  return {
    ingressRules: { sshCidrs: found.flatMap(({ address }) => parseCidrs(address) ?? []), ports },
    notes: [
      ...found.map(
        ({ address, source }) => `SSH is open to ${address}, your address according to ${source}`,
      ),
      ...open,
    ],
  }
}
