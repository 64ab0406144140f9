import { BlockList, isIP } from 'node:net'
import type { SecurityRule } from '@azure/arm-network'

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

/**
 * Whether range `outer` contains all of `inner`. A service tag is not a range and contains nothing.
 */
function isWithin(inner: string, outer: string): boolean {
  const [address = '', length] = inner.split('/')
  const [network = '', outerLength] = outer.split('/')
  const family = familyOf(network)
  if (isIP(network) === 0 || isIP(address) === 0 || family !== familyOf(address)) return false
  const widest = family === 'ipv6' ? 128 : 32
  const prefix = Number(outerLength ?? widest)
  if (Number(length ?? widest) < prefix) return false
  const range = new BlockList()
  range.addSubnet(network, prefix, family)
  return range.check(address, family)
}

const isPort22 = (range: string): boolean => {
  if (range === '*') return true
  const [from = '', to = from] = range.split('-')
  return Number(from) <= 22 && Number(to) >= 22
}

/** Combines the singular and plural forms of a rule's property. */
const named = (
  one: string | undefined,
  several: readonly string[] | undefined,
): readonly string[] => [...(one === undefined || one === '' ? [] : [one]), ...(several ?? [])]

/**
 * Whether the rules of a security group allow SSH from an address range on the internet: the first matching rule by
 * priority decides, and Azure's default is to deny
 * (https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview).
 */
export function allowsSsh(rules: readonly SecurityRule[], source: string): boolean {
  const applying = rules
    .filter(
      ({ direction, protocol = '*' }) => direction === 'Inbound' && /^(?:tcp|\*)$/i.test(protocol),
    )
    .filter((rule) => named(rule.destinationPortRange, rule.destinationPortRanges).some(isPort22))
    .filter((rule) =>
      named(rule.sourceAddressPrefix, rule.sourceAddressPrefixes).some(
        (one) => one === '*' || /^(?:internet|any)$/i.test(one) || isWithin(source, one),
      ),
    )
    .toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
  return applying[0]?.access === 'Allow'
}
