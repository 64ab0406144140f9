import { runProgram } from './process.ts'

/** A network switch for hosts: a bridge in the network namespace of this process. */
export interface Switch {
  readonly bridge: string
  /** `10.77.X`: the first three octets of all its addresses. */
  readonly prefix: string
  /** This process's address on the switch. */
  readonly address: string
}

const ip = (...lines: string[]) => runProgram(['ip', '-batch', '-'], `${lines.join('\n')}\n`)

/** Creates a switch with the first free range of 10.77.X.0/24. Adding the bridge claims the range. */
export async function addSwitch(): Promise<Switch> {
  for (let range = 0; range < 256; range++) {
    const bridge = `lab${range}`
    const claimed = await ip(`link add ${bridge} type bridge`).then(
      () => true,
      (error: Error) => {
        if (error.message.includes('File exists')) return false
        throw error
      },
    )
    if (!claimed) continue
    const prefix = `10.77.${range}`
    const address = `${prefix}.1`
    await ip(`addr add ${address}/24 dev ${bridge}`, `link set ${bridge} up`)
    return { bridge, prefix, address }
  }
  throw new Error('all 256 ranges of 10.77.0.0/16 are taken')
}

/** Removes a switch, which releases its range. */
export const removeSwitch = ({ bridge }: Switch) => ip(`link del ${bridge}`)

/** Connects a host: creates `eth0` in the network namespace of process `pid`. The other end is called `cable`. */
export const plugIn = ({ bridge }: Switch, cable: string, pid: number) =>
  ip(
    `link add ${cable} type veth peer name eth0 netns ${pid}`,
    `link set ${cable} master ${bridge} up`,
  )

/** Disconnects a host immediately; the kernel would do so some time after the host's death. */
export const unplug = (cable: string) => ip(`link del ${cable}`).catch(() => {})
