import type { HostFacts } from '../driver.ts'

type Fields = ReadonlyMap<string, string>

/** Returns the rule for `--natpf1` that forwards a port of this computer to the machine's SSH server. */
export const sshForwarding = (port: number): string => `ssh,tcp,127.0.0.1,${port},,22`

/** Returns the port forwarding rules of a machine, from `Forwarding(0)="ssh,tcp,127.0.0.1,2222,,22"`. */
const rulesOf = (fields: Fields): readonly (readonly string[])[] =>
  [...fields].filter(([key]) => key.startsWith('Forwarding(')).map(([, rule]) => rule.split(','))

/** Returns the ports of this computer that are forwarded to a machine. */
export const forwardedPorts = (fields: Fields): readonly number[] =>
  rulesOf(fields).map((rule) => Number(rule[3]))

const isAnywhere = (address: string): boolean => address === '' || address === '0.0.0.0'

/** Returns the address and port of this computer that are forwarded to the machine's port 22. */
export function forwardedSshPort(fields: Fields): Pick<HostFacts, 'address' | 'port'> | undefined {
  for (const [, protocol, host = '', port, , guestPort] of rulesOf(fields)) {
    if (protocol !== 'tcp' || guestPort !== '22') continue
    return { address: isAnywhere(host) ? '127.0.0.1' : host, port: Number(port) }
  }
  return undefined
}
