import type { Switch } from '../../lab/network.ts'
import { runProgram } from '../../lab/process.ts'

/** The last numbers of public addresses; below them are the hosts' own. */
const first = 130
const last = 254

/** Gives out addresses of a switch, each again only after all others. */
export function makeAddressPool({ prefix, bridge }: Switch): () => Promise<string> {
  let next = first
  return async () => {
    const address = `${prefix}.${next}`
    next = next === last ? first : next + 1
    // Who had it before is remembered by its hardware address.
    await runProgram(['ip', 'neigh', 'flush', 'to', address, 'dev', bridge])
    return address
  }
}

/** A shell command that gives `eth0` a public address in place of any that it has. */
export const setPublicAddress = (address: string | undefined): string => `
for old in $(ip -o -4 addr show dev eth0 | awk '{ print $4 }'); do
  number=\${old##*.}
  if [ "\${number%/*}" -ge ${first} ]; then ip addr del "$old" dev eth0; fi
done
${address === undefined ? '' : `ip addr add ${address}/24 dev eth0`}
`
