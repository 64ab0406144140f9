import { type BootedHost, bootHost } from '../../booted-host/booted-host.ts'
import { addSwitch, removeSwitch } from '../../lab/network.ts'
import type { Host, HostSource } from './hosts.ts'
import { makeAddressPool, setPublicAddress } from './public-addresses.ts'

async function setAddress(host: BootedHost, address: string | undefined): Promise<void> {
  const { code, stderr } = await host.exec(setPublicAddress(address))
  if (code !== 0) throw new Error(`the booted host ${host.address}: ${stderr}`)
}

/** Resolves to a source of Debian hosts that boot at their first use, with real cloud-init and the user-data. */
export async function makeBootedHosts(): Promise<HostSource> {
  const network = await addSwitch()
  const running = new Set<BootedHost>()
  let count = 0
  const lease = async (): Promise<Host> => {
    const privateAddress = `${network.prefix}.${11 + count++}`
    let host: BootedHost | undefined
    const booted = () => {
      if (!host) throw new Error(`${privateAddress} was never booted`)
      return host
    }
    return {
      privateAddress,
      async boot({ userData, user, publicKey }, address) {
        const publicKeys = publicKey === undefined ? [] : [publicKey]
        host = await bootHost({
          userData,
          provider: { user, publicKeys },
          place: { network, address: privateAddress },
        })
        running.add(host)
        await setAddress(host, address)
      },
      answerOn: (address) => setAddress(booted(), address),
      async start(address) {
        await booted().start()
        await setAddress(booted(), address)
      },
      stop: (force) => booted().stop(force),
      async release() {
        if (!host) return
        running.delete(host)
        await host[Symbol.asyncDispose]()
      },
    }
  }
  return {
    newAddress: makeAddressPool(network),
    lease,
    async [Symbol.asyncDispose]() {
      await Promise.all([...running].map((host) => host[Symbol.asyncDispose]()))
      await removeSwitch(network)
    },
  }
}
