import type * as real from '../../../src/operations/swarm/host-networks.ts'

/** Returns the routes and addresses of a host in the format of its kernel. */
const printedNetworks = (address: string): string =>
  `Iface Destination Gateway Flags RefCnt Use Metric Mask\neth0 00004D0A 00000000 0001 0 0 0 00FFFFFF\n--\n  |-- ${address}\n     /32 host LOCAL\n`

/** Returns the module for simulated engines, whose hosts have one network and no shell. */
export const simulateNetworks = (module: typeof real): typeof real => ({
  ...module,
  readNetworks: async (_context, { host }) =>
    module.parseNetworks(printedNetworks(host?.address ?? '')),
})
