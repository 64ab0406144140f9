import type { Host, HostSource } from '../aws/hosts/hosts.ts'
import type { AzureOptions } from './azure.ts'

/** The hosts behind virtual machines, for {@link startAzure}. */
interface HostsBehind extends Required<Pick<AzureOptions, 'computers' | 'newPublicAddress'>> {
  /** Moves the host of a virtual machine to another address. */
  answerOn(machine: string, address: string): Promise<void>
  /** Starts or stops dropping all packets to and from the host of a virtual machine. */
  drop(machine: string, on: boolean): Promise<void>
}

/** Makes the hosts of `source` the hosts behind virtual machines, and uses its public addresses. */
export function hostsBehind(source: HostSource): HostsBehind {
  const hosts = new Map<string, Host>()
  const hostOf = (name: string): Host => {
    const host = hosts.get(name)
    if (host === undefined) throw new Error(`no host is behind ${name}`)
    return host
  }
  return {
    newPublicAddress: () => source.newAddress(),
    answerOn: (machine, address) => hostOf(machine).answerOn(address),
    drop: async (machine, on) => hostOf(machine).drop?.(on),
    computers: {
      async boot({ name, address, user, publicKey, customData }, first) {
        if (!first) return hostOf(name).start(address)
        const host = await source.lease()
        hosts.set(name, host)
        await host.boot({ userData: Buffer.from(customData), user, publicKey }, address)
      },
      halt: (name, gracefully) => hostOf(name).stop(!gracefully),
      async discard(name) {
        await hosts.get(name)?.release()
        hosts.delete(name)
      },
    },
  }
}
