import { describe, expect, it } from 'vitest'
import type { Machine } from '../../../../src/machine/machine.ts'
import type { MachineName } from '../../../../src/machine/name.ts'
import {
  freePool,
  parseNetworks,
  poolOverlaps,
} from '../../../../src/operations/swarm/host-networks.ts'
import { memberAddress } from '../../../../src/operations/swarm/member-address.ts'

const hex = (address: string): string =>
  address
    .split('.')
    .toReversed()
    .map((part) => Number(part).toString(16).padStart(2, '0').toUpperCase())
    .join('')

const row = (name: string, network: string, via: string, mask: string): string =>
  `${name}\t${hex(network)}\t${hex(via)}\t0001\t0\t0\t0\t${hex(mask)}\t0\t0\t0`

/** Returns the output of a host with these interfaces; each has a name, an address, a network and its mask. */
function outputOf(
  interfaces: readonly (readonly [name: string, address: string, network: string, mask: string])[],
  gateway?: string,
): string {
  const table = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    ...(gateway === undefined ? [] : [row('eth0', '0.0.0.0', gateway, '0.0.0.0')]),
    ...interfaces.map(([name, , network, mask]) => row(name, network, '0.0.0.0', mask)),
  ]
  const trie = ['127.0.0.1', ...interfaces.map(([, address]) => address)].flatMap((address) => [
    `           |-- ${address}`,
    '              /32 host LOCAL',
  ])
  return `${table.join('\n')}\n--\nMain:\n${trie.join('\n')}\n`
}

const docker = ['docker0', '172.17.0.1', '172.17.0.0', '255.255.0.0'] as const
const publicOne = ['eth0', '203.0.113.7', '203.0.113.0', '255.255.255.0'] as const
const privateOne = ['eth1', '10.0.1.7', '10.0.1.0', '255.255.255.0'] as const

const machineOf = (driver: string, address: string): Machine => ({
  ...{ name: 'web-1' as MachineName, driver, host: { phase: 'ready', address } },
})

describe('the networks of a host', () => {
  it("are parsed from the kernel's tables, without those of Docker", () => {
    const { addresses, routes } = parseNetworks(
      outputOf([publicOne, privateOne, docker], '203.0.113.1'),
    )
    expect(addresses.map(({ address, isDefault }) => [address, isDefault])).toEqual([
      ...[
        ['203.0.113.7', true],
        ['10.0.1.7', false],
      ],
    ])
    expect(routes.map(({ bits }) => bits)).toEqual([24, 24, 16])
  })

  it('can be parsed from empty output', () => {
    expect(parseNetworks('')).toEqual({ addresses: [], routes: [] })
  })
})

describe('the advertise address of a swarm member', () => {
  const networks = parseNetworks(outputOf([publicOne, privateOne, docker], '203.0.113.1'))
  const onlyPublic = parseNetworks(outputOf([publicOne, docker], '203.0.113.1'))
  const behind = parseNetworks(
    outputOf([['eth0', '10.0.2.7', '10.0.2.0', '255.255.255.0']], '10.0.2.1'),
  )
  it.each([
    [
      'its address in a private network that a peer shares',
      'ssh',
      networks,
      [['10.0.1.8', '203.0.113.8']],
      '10.0.1.7',
    ],
    [
      'its address in the network that most peers share',
      'ssh',
      networks,
      [['203.0.113.8'], ['203.0.113.9', '10.0.1.9']],
      '203.0.113.7',
    ],
    [
      'its address in a public network if no private one is shared',
      'ssh',
      onlyPublic,
      [['203.0.113.8']],
      '203.0.113.7',
    ],
    [
      'the address in its entry if it is adopted, behind NAT, and shares no network',
      'ssh',
      behind,
      [['10.0.9.8']],
      '198.51.100.1',
    ],
    [
      'its private address if it is a cloud host that shares no network',
      'aws',
      behind,
      [['10.0.9.8']],
      '10.0.2.7',
    ],
    [
      'the address in its entry if it shares no network and has no private address',
      'aws',
      onlyPublic,
      [['10.0.9.8']],
      '198.51.100.1',
    ],
    ['the address in its entry if it is the only member', 'ssh', networks, [], '198.51.100.1'],
  ] as const)('is %s', async (_, driver, own, peers, expected) => {
    expect(await memberAddress(machineOf(driver, '198.51.100.1'), own, peers)).toBe(expected)
  })
})

describe('the address pool', () => {
  const hosts = [
    parseNetworks(outputOf([['eth0', '10.99.4.2', '10.99.4.0', '255.255.255.0']])),
    parseNetworks(outputOf([['eth0', '10.100.0.2', '10.100.0.0', '255.254.0.0']])),
  ]
  it('does not overlap any route of any host', () => {
    expect(freePool([])).toBe('10.99.0.0/16')
    expect(freePool(hosts)).toBe('10.102.0.0/16')
    expect(poolOverlaps('10.101.0.0/16', hosts)).toBe(true)
    expect(poolOverlaps('10.0.0.0/8', hosts)).toBe(true)
    expect(poolOverlaps('172.30.0.0/16', hosts)).toBe(false)
    const all = parseNetworks(outputOf([['eth0', '10.1.1.1', '10.0.0.0', '255.0.0.0']]))
    expect(freePool([all])).toBeUndefined()
  })
})
