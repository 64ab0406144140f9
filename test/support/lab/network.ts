import { runProgram } from './process.ts'

/** A switch that hosts are plugged into: a bridge in the network namespace of this process. */
export interface Switch {
  readonly bridge: string
  /** `10.77.X`: the first three numbers of every address on it. */
  readonly prefix: string
  /** This process's own address on it. */
  readonly address: string
}

const ip = (...lines: string[]) => runProgram(['ip', '-batch', '-'], `${lines.join('\n')}\n`)

/** Makes a switch with the first free range of 10.77.X.0/24. Adding the bridge is what claims the range. */
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

/** Removes a switch and the range's claim. */
export const removeSwitch = ({ bridge }: Switch) => ip(`link del ${bridge}`)

/** Plugs a host in: `eth0` in the network namespace of process `pid`. Its end here is called `cable`. */
export const plugIn = ({ bridge }: Switch, cable: string, pid: number) =>
  ip(
    `link add ${cable} type veth peer name eth0 netns ${pid}`,
    `link set ${cable} master ${bridge} up`,
  )

/** Unplugs a host at once; the kernel would do it some time after the host's death. */
export const unplug = (cable: string) => ip(`link del ${cable}`).catch(() => {})
