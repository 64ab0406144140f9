import type { Switch } from '../../lab/network.ts'
import { runProgram } from '../../lab/process.ts'

/** Range of the last octet of public addresses; lower values belong to the hosts' private addresses. */
const first = 130
const last = 254

/** Returns a function that resolves to the addresses of a switch in rotation. */
export function makeAddressPool({ prefix, bridge }: Switch): () => Promise<string> {
  let next = first
  return async () => {
    const address = `${prefix}.${next}`
    next = next === last ? first : next + 1
    // The ARP cache still has the hardware address of the previous owner.
    await runProgram(['ip', 'neigh', 'flush', 'to', address, 'dev', bridge])
    return address
  }
}

/** Returns a shell command that replaces the public address of `eth0`. */
export const setPublicAddress = (address: string | undefined): string => `
for old in $(ip -o -4 addr show dev eth0 | awk '{ print $4 }'); do
  number=\${old##*.}
  if [ "\${number%/*}" -ge ${first} ]; then ip addr del "$old" dev eth0; fi
done
${address === undefined ? '' : `ip addr add ${address}/24 dev eth0`}
`
