import { UserError } from '../../errors.ts'
import { run } from '../../transport/run.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'

/** A range of IPv4 addresses: its first address as a number, and the length of its prefix. */
interface Range {
  readonly first: number
  readonly bits: number
}

/** An IPv4 address of a host, with the network that it is in. */
interface HostAddress {
  readonly address: string
  readonly network: Range
  /** Whether the default route uses the interface with this address. */
  readonly isDefault: boolean
}

/** The IPv4 addresses and routes of a host. */
export interface HostNetworks {
  /** Excludes loopback addresses and the addresses of container bridges. */
  readonly addresses: readonly HostAddress[]
  /** All destinations with a route, except the default route. */
  readonly routes: readonly Range[]
}

/** Prints the kernel's routes, and the trie of local addresses (proc_net(5)). Every Linux host has both files. */
const script = 'cat /proc/net/route && echo -- && cat /proc/net/fib_trie'

/** Converts an IPv4 address to a number; undefined for other strings. */
export function numberOf(address: string): number | undefined {
  const parts = address.split('.').map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : 256))
  if (parts.length !== 4 || parts.some((part) => part > 255)) return undefined
  return parts.reduce((sum, part) => sum * 256 + part, 0)
}

const maskOf = (bits: number): number => (bits === 0 ? 0 : (0xff_ff_ff_ff << (32 - bits)) >>> 0)

const contains = ({ first, bits }: Range, address: number): boolean =>
  (address & maskOf(bits)) >>> 0 === first

const overlaps = (one: Range, other: Range): boolean =>
  one.bits <= other.bits ? contains(one, other.first) : contains(other, one.first)

/** Parses a range in CIDR notation; undefined if it is invalid. */
function rangeOf(cidr: string): Range | undefined {
  const [address = '', bits = ''] = cidr.split('/')
  const number = numberOf(address)
  if (number === undefined || !/^\d{1,2}$/.test(bits) || Number(bits) > 32) return undefined
  return { first: (number & maskOf(Number(bits))) >>> 0, bits: Number(bits) }
}

/** Parses little-endian hexadecimal, as in /proc/net/route. */
const fromHex = (text: string): number =>
  Number.parseInt((text.match(/../g) ?? []).toReversed().join(''), 16)

/** Matches the virtual interfaces of Docker and similar software, whose addresses other hosts cannot reach. */
const ofDocker = /^(?:docker|br-|veth|virbr|cni|flannel)/

/** Parses the output of {@link script}. */
export function parseNetworks(output: string): HostNetworks {
  const [table = '', trie = ''] = output.split(/^--$/m)
  const rows = table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [name = '', destination = '', gateway = '', , , , , mask = ''] = line
        .trim()
        .split(/\s+/)
      if (!/^[0-9A-F]{8}$/i.test(destination) || !/^[0-9A-F]{8}$/i.test(mask)) return []
      const bits = Math.clz32(~fromHex(mask) >>> 0)
      return [{ name, range: { first: fromHex(destination), bits }, gateway: fromHex(gateway) }]
    })
  const defaults = new Set(rows.filter(({ range }) => range.bits === 0).map(({ name }) => name))
  const locals = new Set(
    [...trie.matchAll(/\|-- ([\d.]+)\n\s*\/32 host LOCAL/g)].map(([, address = '']) => address),
  )
  const addresses = [...locals].flatMap((address): HostAddress[] => {
    const number = numberOf(address)
    if (number === undefined || address.startsWith('127.')) return []
    const own = rows
      .filter(({ range, gateway }) => range.bits > 0 && gateway === 0 && contains(range, number))
      .toSorted((one, other) => other.range.bits - one.range.bits)[0]
    // Some providers give a host a single address without a network.
    if (own === undefined) {
      return [{ address, network: { first: number, bits: 32 }, isDefault: defaults.size > 0 }]
    }
    if (ofDocker.test(own.name)) return []
    return [{ address, network: own.range, isDefault: defaults.has(own.name) }]
  })
  return { addresses, routes: rows.map(({ range }) => range).filter(({ bits }) => bits > 0) }
}

/** Reads the addresses and routes of a host. */
export async function readNetworks(
  context: Context,
  machine: Machine,
  signal: AbortSignal,
): Promise<HostNetworks> {
  const transport = await context.connect(machine)
  const { code, stdout, stderr } = await run(transport, ['sh', '-c', script], { signal })
  if (code === 0) return parseNetworks(stdout)
  throw new UserError('failed', `cannot read the host's addresses: ${stderr.trim()}`, {
    machine: machine.name,
  })
}

/** Private address ranges (RFC 1918), and the shared address range (RFC 6598). */
const privateRanges = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'].flatMap(
  (cidr) => rangeOf(cidr) ?? [],
)

const isPrivate = (address: string): boolean => {
  const number = numberOf(address)
  return number !== undefined && privateRanges.some((range) => contains(range, number))
}

/**
 * Chooses the address at which other nodes reach a host: the address in the network that most peers share, preferably a
 * private one. Undefined if the host shares no network with a peer.
 */
export function sharedAddress(
  { addresses }: HostNetworks,
  peers: readonly (readonly string[])[],
): string | undefined {
  const ranked = addresses
    .map((own) => ({
      own,
      reached: peers.filter((peer) =>
        peer.some((address) => contains(own.network, numberOf(address) ?? 0)),
      ).length,
    }))
    .filter(({ reached }) => reached > 0)
    .toSorted(
      (one, other) =>
        other.reached - one.reached ||
        Number(isPrivate(other.own.address)) - Number(isPrivate(one.own.address)) ||
        Number(other.own.isDefault) - Number(one.own.isDefault),
    )
  return ranked[0]?.own.address
}

/**
 * Returns a host's private address on the interface of the default route. Providers route it within a customer's
 * network.
 */
export const privateAddress = ({ addresses }: HostNetworks): string | undefined =>
  addresses.find(({ address, isDefault }) => isDefault && isPrivate(address))?.address

/** The candidate pools: 10.99.0.0/16 and those after it, then those before it. */
const pools = Array.from({ length: 256 }, (_, index) => `10.${(99 + index) % 256}.0.0/16`)

/** Whether a pool overlaps a route of any of the hosts. */
export const poolOverlaps = (pool: string, hosts: readonly HostNetworks[]): boolean => {
  const range = rangeOf(pool)
  return (
    range !== undefined &&
    hosts.some(({ routes }) => routes.some((route) => overlaps(range, route)))
  )
}

/** Returns the first pool that does not overlap any host's routes; undefined if there is none. */
export const freePool = (hosts: readonly HostNetworks[]): string | undefined =>
  pools.find((pool) => !poolOverlaps(pool, hosts))
