import { describe, expect, test } from 'vitest'
import type { HostRecord } from '../../../src/machine/machine.ts'
import { operationOf } from '../../support/azure/azure.ts'
import { testDescribed } from '../../support/azure/described.ts'
import {
  type DriverSeat,
  fleetId,
  newAttempt,
  seatEachTest,
} from '../../support/azure/driver-seat.ts'
import { configurationsOf } from '../../support/azure/network-resources.ts'
import { resourcesOf } from '../../support/azure/store.ts'

let seat: DriverSeat
const exchanges = seatEachTest((given) => (seat = given), { settleMs: 5 })

const west = `fleet-${fleetId}-westeurope`

/** Creates a host with a new driver, as in a separate command. */
const create = (name: string, given: Partial<Record<string, unknown>> = {}) =>
  seat.attempt(newAttempt(seat.options(given), name), { driver: seat.driverWith({}) })

const networks = () =>
  resourcesOf(seat.azure.store, 'Microsoft.Network/virtualNetworks').map(({ body }) => body)

/** Returns the subnet and the private address of each network interface. */
const interfaces = () =>
  resourcesOf(seat.azure.store, 'Microsoft.Network/networkInterfaces').map(({ body }) => {
    const [first] = configurationsOf(body)
    const { subnet, privateIPAddress = '' } = first?.properties ?? {}
    return { subnet: subnet?.id, privateIPAddress }
  })

const putsOf = (type: string) =>
  seat.azure.exchanges.filter(({ request }) => operationOf(request) === `PUT ${type}`).length

const list = () =>
  seat.driverWith({}).lifecycle?.list({ id: fleetId, options: [{}] }, seat.call()) ?? []

/** Creates a host as an older version of fleet did, with a network for this host only. */
async function createOld(): Promise<HostRecord> {
  const host = newAttempt(seat.options(), 'old')
  seat.azure.onCall = (operation) =>
    operation.startsWith('PUT') ? { when: 'before', how: { status: 403, body: {} } } : undefined
  await expect(seat.attempt(host)).rejects.toBeInstanceOf(Error)
  seat.azure.onCall = undefined
  const { network: _network, ...resources } = host.record.resources ?? {}
  host.record = { ...host.record, resources }
  return seat.attempt(host)
}

describe('the shared network', () => {
  test('exists once per location, even for concurrent commands, until its last host is removed', async () => {
    const hosts = await Promise.all(['web-1', 'web-2'].map((name) => create(name)))
    hosts.push(await create('web-3'), await create('far', { location: 'northeurope' }))
    expect(
      networks()
        .map(({ name }) => name)
        .sort(),
    ).toEqual([`fleet-${fleetId}-northeurope`, west])
    const prefixes = networks().map(
      ({ properties }) =>
        (properties['addressSpace'] as { addressPrefixes: string[] }).addressPrefixes,
    )
    for (const [prefix] of prefixes) expect(prefix).toMatch(/^10\.(?:1[2-9]\d|2\d\d)\.0\.0\/16$/)
    expect(new Set(interfaces().map(({ subnet }) => subnet)).size).toBe(2)
    expect(new Set(interfaces().map(({ privateIPAddress }) => privateIPAddress)).size).toBe(4)
    expect(putsOf('Microsoft.Network/virtualNetworks')).toBeLessThanOrEqual(3) // web-3 only reads it
    for (const { tags } of networks()) {
      expect(tags).toMatchObject({ 'fleet:id': fleetId, 'fleet:shared': 'network' })
      expect(tags).not.toHaveProperty('fleet:machine')
    }
    expect((await list()).map(({ machine }) => machine).sort()).toEqual([
      ...['far', 'web-1', 'web-2', 'web-3'],
    ])
    const [first, second, third, far] = hosts
    for (const host of [first, far]) await seat.remove(host ?? { phase: 'ready' })
    expect(networks().map(({ name }) => name)).toEqual([west])
    await Promise.all([second, third].map((host) => seat.remove(host ?? { phase: 'ready' })))
    expect(seat.azure.remains()).toEqual([])
  })

  test('keeps what the user added to it', async () => {
    await create('web-1')
    const [network] = networks()
    const subnets = network?.properties['subnets'] as object[]
    subnets.push({ name: 'mine', id: `${network?.id}/subnets/mine`, properties: {} })
    await create('web-2')
    expect(networks()[0]?.properties['subnets']).toHaveLength(2)
  })

  test('is created again if it is removed with its last host in the meantime', async () => {
    const first = await create('web-1')
    let isRemoved = false
    seat.azure.onCall = (operation) => {
      if (operation !== 'PUT Microsoft.Network/networkInterfaces' || isRemoved) return undefined
      isRemoved = true
      const { resources, groups } = seat.azure.store
      for (const id of resources.keys()) {
        if (/networkinterfaces|virtualnetworks/.test(id)) resources.delete(id)
      }
      groups.delete(west)
      return undefined
    }
    const second = await create('web-2')
    seat.azure.onCall = undefined
    expect(isRemoved).toBe(true)
    expect(networks()).toHaveLength(1)
    for (const host of [first, second]) await seat.remove(host)
    expect(seat.azure.remains()).toEqual([])
  })

  test('is not used by a host with its own network, which shows no differences because of it', async () => {
    const old = await createOld()
    expect(networks().map(({ name }) => name)).toEqual([expect.stringMatching(/^old-.*-vnet$/)])
    const compared = await seat.driver.update?.compare(
      ...([old, seat.options(), { state: 'running' }, seat.call()] as const),
    )
    expect(compared).toEqual([])
    const another = await create('web-1')
    expect(networks()).toHaveLength(2)
    await seat.remove(another)
    await seat.remove(old)
    expect(seat.azure.remains()).toEqual([])
  })

  test('is refused if another user created it', async () => {
    seat.azure.addGroup('yours')
    await create('web-1', { resourceGroup: 'yours' })
    const [network] = networks()
    if (network === undefined) throw new Error('no network')
    Object.assign(network, { tags: { owner: 'ana' } })
    await expect(create('web-2', { resourceGroup: 'yours' })).rejects.toThrow(
      `the virtual network ${west} in the resource group yours lacks this inventory's tags`,
    )
    const named = { subscription: seat.azure.subscription, network: `yours/${west}` }
    await seat.remove({ phase: 'ready', token: crypto.randomUUID(), resources: named })
    expect(networks()).toHaveLength(1)
    const odd = { ...named, network: 'yours/main' }
    await expect(
      seat.remove({ phase: 'ready', token: crypto.randomUUID(), resources: odd }),
    ).rejects.toThrow('invalid network')
  })

  test('is found by gc when it has no hosts, and as an empty group', async () => {
    const host = await create('web-1')
    const { network: _network, ...resources } = host.resources ?? {}
    await seat.remove({ ...host, resources }) // as an older version of fleet would remove it
    const found = await list()
    expect(found.map(({ machine, parts }) => [machine, parts])).toEqual([
      [west, [`resource group ${west}`, `virtual network ${west}`]],
    ])
    seat.azure.store.resources.clear()
    const [group] = await list()
    expect(group?.parts).toEqual([`resource group ${west}`])
    await seat.remove(group?.record ?? { phase: 'ready' })
    expect(seat.azure.remains()).toEqual([])
  })
})

testDescribed(() => exchanges)
