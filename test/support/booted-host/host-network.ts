import { readlinkSync } from 'node:fs'
import { type Switch, plugIn, unplug } from '../lab/network.ts'
import { outside } from '../lab/outside.ts'
import { ended, runProgram, spawnTied, until } from '../lab/process.ts'
import { findTools } from './tools.ts'

/** The network namespace of a host. */
export interface HostNetwork extends AsyncDisposable {
  readonly address: string
  /** The path of the namespace in /proc. */
  readonly namespace: string
}

const namespaceOf = (pid: number | 'self') => readlinkSync(`/proc/${pid}/ns/net`)

/** Creates a network namespace with an address on a switch, and internet access through slirp4netns. */
export async function makeNetwork(network: Switch, address: string): Promise<HostNetwork> {
  const holder = spawnTied(['unshare', '--net', 'sleep', 'infinity'], { stdio: 'ignore' })
  const pid = holder.pid ?? 0
  await until('a network namespace', () => namespaceOf(pid) !== namespaceOf('self') || undefined)
  const namespace = `/proc/${pid}/ns/net`
  const cable = `${network.bridge}b${address.split('.').at(-1)}`
  await plugIn(network, cable, pid)
  await runProgram(
    ['nsenter', `--net=${namespace}`, 'ip', '-batch', '-'],
    `link set lo up\naddr add ${address}/24 dev eth0\nlink set eth0 up\n`,
  )
  const { slirp } = await findTools()
  const options = ['--configure', '--disable-host-loopback', '--mtu=1400']
  const way = spawnTied(outside(...slirp, ...options, String(pid), 'tap0'), { stdio: 'ignore' })
  return {
    address,
    namespace,
    async [Symbol.asyncDispose]() {
      for (const child of [way, holder]) {
        child.kill('SIGKILL')
        await ended(child)
      }
      await unplug(cable)
    },
  }
}
