import { describe, expect, test } from 'vitest'
import type { PeerAccess, PeerGroup } from '../../../src/drivers/net/peer-access.ts'
import { parsePorts } from '../../../src/drivers/net/ports.ts'
import { mergeResources } from '../../../src/machine/machine.ts'
import { testDescribed } from '../../support/azure/described.ts'
import {
  type Attempt,
  type DriverSeat,
  fleetId,
  newAttempt,
  seatEachTest,
} from '../../support/azure/driver-seat.ts'
import { configurationsOf } from '../../support/azure/network-resources.ts'
import { addNetwork } from '../../support/azure/networks.ts'
import { resourcesOf } from '../../support/azure/store.ts'

let seat: DriverSeat
const exchanges = seatEachTest((given) => (seat = given), { settleMs: 5 })

const token = 'aaaaaaaa-1c2d-4e3f-8a4b-5c6d7e8f9a0b'

const prod: PeerGroup = {
  ...{ fleet: fleetId, name: 'prod' },
  ports: parsePorts('2377/tcp,7946/tcp,7946/udp,4789/udp') ?? [],
  tags: {
    ...{ fleet: 'true', 'fleet:id': fleetId, 'fleet:swarm': 'prod', 'fleet:token': token },
  },
}

const make = async (name: string, given: Partial<Record<string, unknown>> = {}) => {
  const host = newAttempt(seat.options(given), name)
  await seat.attempt(host)
  return host
}

/** Returns the peer access of a new driver, as used by a separate command. */
const accessOf = () => seat.driverWith({}).peerAccess as PeerAccess

const open = (host: Attempt, signal?: AbortSignal) =>
  accessOf().open(
    host.record,
    prod,
    async (resources) => {
      host.record = {
        ...host.record,
        resources: mergeResources(host.record.resources, resources),
      }
    },
    seat.call(signal),
  )

const close = async (host: Attempt, signal?: AbortSignal) => {
  const changed = await accessOf().close(host.record, prod, seat.call(signal))
  host.record = { ...host.record, resources: mergeResources(host.record.resources, changed) }
}

const stateOf = async (...hosts: readonly Attempt[]) => {
  const records = new Map(hosts.map(({ name, record }) => [name, record]))
  const states = await accessOf().observe(records, prod, seat.call())
  return hosts.map(({ name }) => {
    const state = states.get(name)
    return state === undefined ? 'unmanaged' : (state.missing ?? 'open')
  })
}

const groups = () =>
  resourcesOf(seat.azure.store, 'Microsoft.Network/applicationSecurityGroups').map(
    ({ body }) => body,
  )

interface Rule {
  readonly name: string
  readonly properties: Record<string, unknown>
}

const firewallOf = (host: Attempt) => {
  const found = resourcesOf(seat.azure.store, 'Microsoft.Network/networkSecurityGroups').find(
    ({ body }) => body.name.startsWith(`${host.name}-`),
  )
  if (found === undefined) throw new Error('no security group')
  return found.body.properties as { securityRules: Rule[] }
}

const swarmRules = (host: Attempt) =>
  firewallOf(host).securityRules.filter(({ name }) => name.startsWith('swarm-'))

const members = () =>
  resourcesOf(seat.azure.store, 'Microsoft.Network/networkInterfaces').filter(({ body }) =>
    configurationsOf(body).some(
      ({ properties }) => (properties.applicationSecurityGroups ?? []).length > 0,
    ),
  ).length

const list = () =>
  seat.driverWith({}).lifecycle?.list({ id: fleetId, options: [{}] }, seat.call()) ?? []

describe('the application security group of a swarm', () => {
  test('opens the ports of nodes only between its members, until the last one is removed', async () => {
    const [m1, m2, other] = [await make('m1'), await make('m2'), await make('other')]
    expect(await stateOf(m1)).toEqual([
      expect.stringMatching(
        /^the host is not in the application security group fleet-4f0c2f6e-prod-/,
      ),
    ])
    await Promise.all([m1, m2].map((host) => open(host)))
    expect(await stateOf(m1, m2, other)).toEqual([
      ...['open', 'open', expect.stringContaining('the host is not in')],
    ])
    const [group] = groups()
    expect(groups()).toHaveLength(1)
    expect(group?.tags).toEqual(prod.tags)
    for (const host of [m1, m2]) {
      const rules = swarmRules(host)
      expect(
        rules.map(({ properties }) =>
          [properties['protocol'], properties['destinationPortRange']].join(' '),
        ),
      ).toEqual(['Tcp 2377', 'Tcp 7946', 'Udp 7946', 'Udp 4789'])
      for (const { properties } of rules) {
        expect(properties).toMatchObject({
          ...{ access: 'Allow', direction: 'Inbound' },
          sourceApplicationSecurityGroups: [{ id: group?.id }],
          destinationApplicationSecurityGroups: [{ id: group?.id }],
        })
        expect(properties).not.toHaveProperty('sourceAddressPrefix')
      }
      // The rules for SSH and for isolation in the network are unchanged.
      expect(firewallOf(host).securityRules.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['ssh', 'deny-shared-network']),
      )
    }
    expect(swarmRules(other)).toEqual([])
    expect((await list()).map(({ machine }) => machine).sort()).toEqual(['m1', 'm2', 'other'])

    await close(m2)
    expect(swarmRules(m2)).toEqual([])
    expect([groups().length, members()]).toEqual([1, 1])
    expect(m2.record.resources).not.toHaveProperty('peerGroup')
    await seat.remove(m1.record)
    expect(groups()).toEqual([])
    for (const { record } of [m2, other]) await seat.remove(record)
    expect(seat.azure.remains()).toEqual([])
  })

  test('gets back a rule that was removed by hand', async () => {
    const m1 = await make('m1')
    await open(m1)
    const firewall = firewallOf(m1)
    firewall.securityRules = firewall.securityRules.filter(({ name }) => !name.includes('2377'))
    expect(await stateOf(m1)).toEqual([
      expect.stringMatching(/^the security group m1-.*-nsg lacks the rule swarm-prod-2377-tcp$/),
    ])
    await open(m1)
    expect(await stateOf(m1)).toEqual(['open'])
    expect(swarmRules(m1)).toHaveLength(4)
  })

  test('exists once per network, and is removed with the last member in an existing network', async () => {
    addNetwork(seat.azure)
    const before = seat.azure.remains()
    const [near, mine] = [await make('near'), await make('mine', { subnet: 'net/main/hosts' })]
    for (const host of [near, mine]) await open(host)
    expect(groups()).toHaveLength(2)
    expect(await stateOf(near, mine)).toEqual(['open', 'open'])
    for (const { record } of [near, mine]) await seat.remove(record)
    expect(seat.azure.remains()).toEqual(before)
  })

  test('is found by gc when no member is left', async () => {
    const m1 = await make('m1')
    await open(m1)
    const { peerGroup: _group, ...resources } = m1.record.resources ?? {}
    await seat.remove({ ...m1.record, resources }) // as an older version of fleet would remove it
    const found = await list()
    const orphan = found.find(({ machine }) => machine === 'prod')
    expect(orphan).toMatchObject({
      token,
      parts: [expect.stringMatching(/^application security group fleet-4f0c2f6e-prod-/)],
    })
    for (const { record } of found.toReversed()) await seat.remove(record)
    for (const { record } of await list()) await seat.remove(record)
    expect(seat.azure.remains()).toEqual([])
  })

  test('ignores hosts that fleet did not create', async () => {
    const m1 = await make('m1')
    const { token: _token, ...adopted } = m1.record
    m1.record = adopted
    expect(await stateOf(m1)).toEqual(['unmanaged'])
    await open(m1)
    expect(groups()).toEqual([])
  })

  test.each(['open', 'close'] as const)('can be interrupted at any change: %s', async (what) => {
    const m1 = await make('m1')
    const work = (signal?: AbortSignal) => (what === 'open' ? open(m1, signal) : close(m1, signal))
    const prepare = () => (what === 'open' ? close(m1) : open(m1))
    await open(m1)
    await prepare()
    const puts: string[] = []
    seat.azure.onCall = (operation) => {
      if (/^(?:PUT|DELETE) /.test(operation)) puts.push(operation)
      return undefined
    }
    await work()
    seat.azure.onCall = undefined
    expect(puts).toHaveLength(3)
    for (const when of ['before', 'after'] as const) {
      for (const point of puts) {
        await prepare()
        const killed = new AbortController()
        seat.azure.onCall = (operation) => {
          if (killed.signal.aborted) return { when: 'before', how: 'reset' }
          if (operation !== point) return undefined
          killed.abort(new Error('killed'))
          return { when, how: 'hang' }
        }
        await work(killed.signal).catch(() => {})
        seat.azure.onCall = undefined
        await seat.azure.idle()
        await work()
        const wanted = what === 'open' ? [1, 1, 4] : [0, 0, 0]
        expect([groups().length, members(), swarmRules(m1).length], `${when} ${point}`).toEqual(
          wanted,
        )
      }
    }
    await seat.remove(m1.record)
    expect(seat.azure.remains()).toEqual([])
  })
})

testDescribed(() => exchanges)
