import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { HostRecord } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { operationOf } from '../../support/azure/azure.ts'
import {
  type DriverSeat,
  fleetId,
  newAttempt,
  seatEachTest,
  userData,
} from '../../support/azure/driver-seat.ts'
import type { Exchange } from '../../support/azure/exchange.ts'
import { testDescribed } from '../../support/azure/described.ts'
import { judge, judgeIsMissing } from '../../support/azure/judge.ts'
import { resourcesOf } from '../../support/azure/store.ts'

let seat: DriverSeat
const exchanges = seatEachTest((given) => (seat = given))

const typesOf = (ids: readonly string[]): string[] =>
  ids.map((id) => /\/([^/]+)\/[^/]+$/.exec(id)?.[1] ?? '').sort()

const web1 = 'web-1' as MachineName

const statusOf = async (host: HostRecord) =>
  (await seat.driver.observe(new Map([[web1, host]]), seat.call())).get(web1)

const parts = [
  'disks',
  'networkInterfaces',
  'networkSecurityGroups',
  'publicIPAddresses',
  'virtualMachines',
  'virtualNetworks',
]

const callsOf = (method: string): string[] =>
  seat.azure.exchanges
    .map(({ request }) => operationOf(request))
    .filter((operation) => operation.startsWith(`${method} `) && !operation.includes('login.'))

/** The rule that isolates hosts in a shared network from each other. */
const isolation = {
  name: 'deny-shared-network',
  properties: { access: 'Deny', direction: 'Inbound', protocol: '*', priority: 4000 },
}

/** Returns the body of the last PUT for a resource type. */
const sent = (type: string): unknown =>
  JSON.parse(
    seat.azure.exchanges.findLast(
      ({ request }) => request.method === 'PUT' && request.path.includes(`/${type}/`),
    )?.request.text ?? 'null',
  )

describe('a host with a separate resource group', () => {
  test('is created, stopped, started, listed and removed', async () => {
    const { azure, driver } = seat
    const host = await seat.attempt(newAttempt(seat.options()))
    expect(host).toMatchObject({ user: 'fleet', address: '203.0.113.1' })
    expect(host.id).toMatch(/\/virtualMachines\/web-1-[0-9a-f]{12}$/)
    expect(typesOf(azure.remains())).toEqual([...parts, 'resourceGroups', 'resourceGroups'].sort())
    expect(await statusOf(host)).toEqual({ state: 'running', address: '203.0.113.1' })

    await driver.power?.stop(host, seat.call())
    expect(await statusOf(host)).toMatchObject({ state: 'stopped' })
    expect(callsOf('POST')).toEqual(['POST Microsoft.Compute/virtualMachines/deallocate'])
    await driver.power?.start(host, seat.call())
    await driver.power?.restart(host, seat.call())
    expect(await statusOf(host)).toMatchObject({ state: 'running' })
    await driver.power?.kill(host, seat.call())
    expect(await statusOf(host)).toMatchObject({ state: 'stopped' })
    expect(seat.steps.at(-1)).toContain('Azure will continue to charge for the virtual machine')
    expect(callsOf('POST').at(-1)).toBe('POST Microsoft.Compute/virtualMachines/powerOff')

    const found = await driver.lifecycle?.list({ id: fleetId, options: [] }, seat.call())
    expect(found).toMatchObject([{ machine: 'web-1', token: host.token }])
    expect(found?.[0]?.parts).toHaveLength(parts.length) // including its group, but not the network
    expect(await driver.lifecycle?.list({ id: '00000000', options: [] }, seat.call())).toEqual([])

    await driver.lifecycle?.remove(found?.[0]?.record ?? { phase: 'ready' }, seat.call())
    expect(azure.remains()).toEqual([])
    expect(await statusOf(host)).toEqual({ state: 'absent' })
    await seat.remove(host)
  })

  test('is created as the options specify, with one request per resource', async () => {
    const given = {
      size: 'standard_d2s_v5',
      image: 'ubuntu-24.04',
      disk: 64,
      diskType: 'Premium_LRS',
      zone: '2',
      sshCidr: '192.0.2.0/24,2001:db8::/32,198.51.100.7',
      ports: '80,8000-8100/udp',
      dnsLabel: 'web-1-label',
      spot: true,
      eviction: 'delete',
      managedIdentity: 'system',
      securityType: 'TrustedLaunch',
      encryptionAtHost: true,
      bootDiagnostics: false,
      tags: 'owner=ana,cost=42',
    }
    const host = await seat.attempt(newAttempt(seat.options(given)))
    expect(callsOf('PUT').sort()).toEqual([
      'PUT Microsoft.Compute/virtualMachines',
      'PUT Microsoft.Network/networkInterfaces',
      'PUT Microsoft.Network/networkSecurityGroups',
      'PUT Microsoft.Network/publicIPAddresses',
      'PUT Microsoft.Network/virtualNetworks',
      ...['PUT resourceGroup', 'PUT resourceGroup'],
    ])
    const tags = { owner: 'ana', cost: '42', 'fleet:id': fleetId, 'fleet:token': host.token }
    expect(sent('virtualMachines')).toMatchObject({
      tags,
      zones: ['2'],
      identity: { type: 'SystemAssigned' },
      properties: {
        priority: 'Spot',
        securityProfile: {
          securityType: 'TrustedLaunch',
          uefiSettings: { secureBootEnabled: true, vTpmEnabled: true },
          encryptionAtHost: true,
        },
        evictionPolicy: 'Delete',
        hardwareProfile: { vmSize: 'Standard_D2s_v5' },
        storageProfile: {
          imageReference: { sku: 'server', version: '24.04.202611010' },
          osDisk: { diskSizeGB: 64, deleteOption: 'Delete' },
        },
        osProfile: { customData: Buffer.from(userData).toString('base64') },
        networkProfile: { networkInterfaces: [{ properties: { deleteOption: 'Delete' } }] },
      },
    })
    expect(sent('networkSecurityGroups')).toMatchObject({
      tags,
      properties: {
        securityRules: [
          {
            properties: {
              destinationPortRange: '22',
              sourceAddressPrefixes: ['192.0.2.0/24', '198.51.100.7/32'],
            },
          },
          { name: 'ssh-ipv6', properties: { sourceAddressPrefixes: ['2001:db8::/32'] } },
          { properties: { destinationPortRange: '80', protocol: 'Tcp' } },
          { properties: { destinationPortRange: '8000-8100', protocol: 'Udp' } },
          isolation,
        ],
      },
    })
    expect(host.resources).toMatchObject({
      image: 'Canonical:ubuntu-24_04-lts:server:24.04.202611010',
      size: 'Standard_D2s_v5',
      location: 'westeurope',
    })
  })

  test('accepts SSH only from the address of this computer by default', async () => {
    const host = await seat.attempt(newAttempt(seat.options()))
    expect(host.resources).toMatchObject({ sshCidr: '198.51.100.7/32' })
  })

  test('is opened to an additional address by fleet allow', async () => {
    const { sshAccess, update } = seat.driver
    const host = await seat.attempt(newAttempt(seat.options()))
    expect(await sshAccess?.allowed(host)).toEqual(['198.51.100.7/32'])
    expect(await sshAccess?.caller(host, seat.call())).toEqual(['198.51.100.7/32'])
    const sshCidr = '198.51.100.7/32,192.0.2.9/32'
    const wish = { options: seat.options({ sshCidr }), only: new Set(['sshCidr']) }
    expect(await update?.change(host, wish, seat.call())).toMatchObject({ sshCidr })
    expect(sent('networkSecurityGroups')).toMatchObject({
      properties: {
        securityRules: [
          isolation,
          { name: 'ssh', properties: { sourceAddressPrefixes: sshCidr.split(',') } },
        ],
      },
    })
  })

  test('gets the image for the architecture of its size', async () => {
    const host = await seat.attempt(newAttempt(seat.options({ size: 'Standard_B2pls_v2' })))
    expect(host.resources).toMatchObject({ image: 'Debian:debian-13:13-arm64:0.20261101.2300' })
  })

  test("is not removed if the group is not fleet's or contains resources of others", async () => {
    const { azure } = seat
    const host = await seat.attempt(newAttempt(seat.options()))
    const group = azure.store.groups.get(host.resources?.['group']?.toLowerCase() ?? '')
    if (group === undefined) throw new Error('no group')
    const { tags } = group
    group.tags = {}
    await expect(seat.remove(host)).rejects.toThrow('did not create the resource group')
    group.tags = tags
    const id = `${group.id}/providers/Microsoft.Storage/storageAccounts/theirs`
    const type = 'Microsoft.Storage/storageAccounts'
    azure.store.resources.set(id.toLowerCase(), {
      body: { id, name: 'theirs', type, location: 'westeurope', properties: {} },
      busy: false,
      secrets: {},
    })
    await expect(seat.remove(host)).rejects.toThrow(
      'contains other resources: Microsoft.Storage/storageAccounts theirs',
    )
    expect(typesOf(azure.remains())).toEqual([
      ...['resourceGroups', 'resourceGroups', 'storageAccounts', 'virtualNetworks'],
    ])
    azure.store.resources.delete(id.toLowerCase())
    await seat.remove(host)
    expect(azure.remains()).toEqual([])
  })
})

const isSecurityGroup = (id: string): boolean => id.includes('/networksecuritygroups/')

describe('hosts in an existing resource group', () => {
  test('share the group and leave it unchanged', async () => {
    const { azure, driver } = seat
    azure.addGroup('yours')
    const options = seat.options({ resourceGroup: 'yours' })
    const [one, two] = await Promise.all(
      ['web-1', 'web-2'].map((name) => seat.attempt(newAttempt(options, name))),
    )
    if (one === undefined || two === undefined) throw new Error('two were asked for')
    const before = azure.exchanges.length
    const statuses = await driver.observe(
      new Map([one, two].map((host, index) => [`web-${index + 1}` as MachineName, host])),
      seat.call(),
    )
    expect([...statuses.values()].map(({ state }) => state)).toEqual(['running', 'running'])
    const paths = azure.exchanges.slice(before).map(({ request }) => operationOf(request))
    expect(paths.sort()).toEqual([
      'GET Microsoft.Compute/virtualMachines',
      'GET Microsoft.Network/publicIPAddresses',
    ])
    await seat.remove(one)
    expect(typesOf(azure.remains())).toEqual([...parts, 'resourceGroups'].sort())
    expect(
      await driver.lifecycle?.list({ id: fleetId, options: [options] }, seat.call()),
    ).toMatchObject([{ machine: 'web-2' }])
    await seat.remove(two)
    expect(typesOf(azure.remains())).toEqual(['resourceGroups'])
  })

  test('are found with all their parts among resources of others', async () => {
    const { azure, driver } = seat
    for (const name of ['yours', 'theirs']) azure.addGroup(name)
    const hosts = await Promise.all([
      seat.attempt(newAttempt(seat.options({ resourceGroup: 'yours' }), 'web-1')),
      seat.attempt(newAttempt(seat.options({ resourceGroup: 'theirs' }), 'web-2')),
      seat.attempt(newAttempt(seat.options(), 'web-3')),
    ])
    const foreign = resourcesOf(azure.store, 'Microsoft.Network/networkSecurityGroups').find(
      ({ body }) => body.name.startsWith('web-1'),
    )
    if (foreign === undefined) throw new Error('no security group was made')
    Object.assign(foreign.body, { tags: { owner: 'ana' } })
    const before = azure.exchanges.length
    const found = await driver.lifecycle?.list({ id: fleetId, options: [] }, seat.call())
    const listed = (found ?? []).toSorted((a, b) => a.machine.localeCompare(b.machine))
    expect(listed.map(({ machine, token, parts }) => [machine, token, parts.length])).toEqual([
      ['web-1', hosts[0]?.token, 4],
      ['web-2', hosts[1]?.token, 5],
      ['web-3', hosts[2]?.token, 6],
    ])
    expect(listed[0]?.tags).toMatchObject({ 'fleet:machine': 'web-1' })
    // One listing per existing group, in pages of two. Of fleet's own groups, only the network's is listed.
    const lists = azure.exchanges
      .slice(before)
      .map(({ request }) => request.path.split('/').slice(3, 5).join('/').toLowerCase())
    expect([...new Set(lists)].sort()).toEqual([
      'resourcegroups',
      `resourcegroups/fleet-${fleetId}-westeurope`,
      'resourcegroups/theirs',
      'resourcegroups/yours',
      'resources',
    ])
    for (const { record } of listed)
      await driver.lifecycle?.remove(record, seat.call()).catch(() => {})
    expect(typesOf(azure.remains())).toEqual([
      'networkSecurityGroups',
      ...['resourceGroups', 'resourceGroups'],
      'virtualNetworks',
    ])
  })

  test('are found although another subscription is inaccessible, which is reported', async () => {
    const { driver } = seat
    await seat.attempt(newAttempt(seat.options()))
    const unasked: string[] = []
    const closed = '00000000-0000-0000-0000-000000000000'
    const options = [{ subscription: closed }, {}]
    const onSkipped = (place: string, reason: string) => unasked.push(`${place}: ${reason}`)
    const found = await driver.lifecycle?.list({ id: fleetId, options, onSkipped }, seat.call())
    expect(found).toMatchObject([{ machine: 'web-1' }])
    expect(unasked).toEqual([expect.stringMatching(`^subscription ${closed}: .*--subscription`)])
  })

  test('keep resources that a record names but that lack its tags', async () => {
    const { azure, driver } = seat
    azure.addGroup('shared')
    const options = seat.options({ resourceGroup: 'shared' })
    const host = await seat.attempt(newAttempt(options, 'web-1'))
    const { resources } = azure.store
    const machine = [...resources].find(([id]) => id.includes('/virtualmachines/'))
    if (machine === undefined) throw new Error('no virtual machine')
    const [id, { body }] = machine
    const { tags = {} } = body
    Object.assign(body, { tags: { owner: 'ana' } })
    const refusal = "does not have this machine's tags"
    await expect(seat.remove(host)).rejects.toThrow(refusal)
    await expect(driver.power?.kill(host, seat.call())).rejects.toThrow(refusal)
    Object.assign(body, { tags })
    // As if a removal had been interrupted after deleting the virtual machine, and another user owned the security
    // group.
    resources.delete(id)
    for (const [key, one] of resources)
      if (isSecurityGroup(key)) Object.assign(one.body, { tags: {} })
    await expect(seat.remove(host)).rejects.toThrow(
      /in the resource group shared were not deleted .*security group web-1-/,
    )
    expect(typesOf(azure.remains())).toEqual([
      ...['networkSecurityGroups', 'resourceGroups', 'virtualNetworks'],
    ])
    for (const key of resources.keys()) if (isSecurityGroup(key)) resources.delete(key)
    await seat.remove(host)
  })

  test('are left alone if a record has names that fleet never assigns', async () => {
    const { azure } = seat
    const host = await seat.attempt(newAttempt(seat.options()))
    const { resources = {} } = host
    for (const wrong of [
      { name: 'production' },
      { group: 'production' },
      { group: '..' },
      { subscription: '../../x' },
      { tenant: 'a/b' },
      { cloud: 'evil.example' },
      { addressedBy: 'a/../b' },
    ]) {
      const before = azure.exchanges.length
      await expect(seat.remove({ ...host, resources: { ...resources, ...wrong } })).rejects.toThrow(
        /"host:" in the inventory/,
      )
      expect(azure.exchanges.length).toBe(before)
    }
    await seat.remove(host)
  })
})

/** Returns the action that the role must allow for a call. */
function actionOf(operation: string): string {
  const [method = '', what = ''] = operation.split(' ')
  const verb = { GET: 'read', PUT: 'write', DELETE: 'delete' }[method]
  if (/^Microsoft\.\w+$/.test(what)) return `Microsoft.Resources/subscriptions/providers/${verb}`
  if (what === 'resourceGroup') return `Microsoft.Resources/subscriptions/resourceGroups/${verb}`
  if (what === 'resources')
    return `Microsoft.Resources/subscriptions/resourceGroups/resources/${verb}`
  if (what === 'subscription/resources')
    return `Microsoft.Resources/subscriptions/resources/${verb}`
  return `${what}/${verb ?? 'action'}`
}

describe('the role in docs/drivers/azure.md', async () => {
  const page = await readFile(join(import.meta.dirname, '../../../docs/drivers/azure.md'), 'utf8')
  const { Actions } = JSON.parse(/```json\n([^`]*)```/.exec(page)?.[1] ?? '') as {
    Actions: string[]
  }
  const patterns = Actions.map((action) => ({
    action,
    pattern: new RegExp(`^${action.replaceAll('.', String.raw`\.`).replaceAll('*', '.+')}$`, 'i'),
  }))
  /**
   * Actions that Azure checks implicitly: for resources that are joined, and for disks that are created with the
   * machine.
   */
  const implied = /\/join\/action$|^Microsoft\.Compute\/disks\//
  /** Actions for the user's own images. */
  const ownImages = /^Microsoft\.Compute\/(?:images|galleries)\//
  /** Actions for swarm members, which test/lab/azure/peer-groups.test.ts covers. */
  const swarms = /^Microsoft\.Network\/applicationSecurityGroups\//
  /** The action that changes tags of existing resources, which the conformance suite covers. */
  const laterTags = /^Microsoft\.Resources\/tags\/write$/

  test('allows every operation of these tests, and no others', () => {
    const operations = exchanges
      .map(({ request }) => operationOf(request))
      .filter((operation) => !/login\.|operation$/.test(operation))
    const needed = new Set(operations.map(actionOf))
    const forbidden = [...needed].filter(
      (one) => !patterns.some(({ pattern }) => pattern.test(one)),
    )
    expect(forbidden).toEqual([])
    const idle = patterns.filter(
      ({ action, pattern }) =>
        !implied.test(action) &&
        !ownImages.test(action) &&
        !swarms.test(action) &&
        !laterTags.test(action) &&
        ![...needed].some((one) => pattern.test(one)),
    )
    expect(idle.map(({ action }) => action)).toEqual([])
  })
})

/** Creates a host as another user might: its public address is in another group, and none of its names are fleet's. */
async function makeTheirs(): Promise<{ id: string; name: string; group: string }> {
  const { store } = seat.azure
  const host = await seat.attempt(newAttempt(seat.options({ user: 'ana' })))
  const [, group = '', name = ''] = /resourceGroups\/([^/]+)\/.*\/(.+)$/.exec(host.id ?? '') ?? []
  seat.azure.addGroup('front')
  const [theirs] = resourcesOf(store, 'Microsoft.Network/publicIPAddresses')
  const [nic] = resourcesOf(store, 'Microsoft.Network/networkInterfaces')
  if (theirs === undefined || nic === undefined) throw new Error('no host was made')
  const { id } = theirs.body
  const moved = id.replace(group, 'front').replace(`${name}-ip`, 'theirs')
  store.resources.delete(id.toLowerCase())
  theirs.body = { ...theirs.body, id: moved, name: 'theirs' }
  store.resources.set(moved.toLowerCase(), theirs)
  nic.body = JSON.parse(JSON.stringify(nic.body).replaceAll(id, moved)) as typeof nic.body
  return { id: host.id ?? '', name, group }
}

/** Describes an existing host by its ID. */
const recall = (id: string, options: Record<string, unknown> = {}) =>
  seat.driver.describeExisting?.(id, options, seat.call()) ?? Promise.reject(new Error('it cannot'))

describe('a host that another user created', () => {
  test('is found by its ID in any letter case, and by its group and name', async () => {
    const { id, name, group } = await makeTheirs()
    const recalled = await recall(`${group}/${name}`)
    expect(recalled).toEqual({
      ...{ id, address: '203.0.113.1', user: 'ana' },
      resources: {
        ...{ subscription: seat.azure.subscription, group, groupOwner: 'you', name },
        addressedBy: 'front/theirs',
        ...{ location: 'westeurope', size: 'Standard_B2als_v2' },
      },
      options: { location: 'westeurope', size: 'Standard_B2als_v2' },
    })
    expect(await recall(id.toUpperCase().replace('MICROSOFT.C', 'microsoft.c'))).toMatchObject({
      address: '203.0.113.1',
    })
    const host: HostRecord = { phase: 'ready', ...recalled }
    expect(await statusOf(host)).toEqual({ state: 'running', address: '203.0.113.1' })
    const two = new Map([web1, 'web-2' as MachineName].map((one) => [one, host]))
    expect((await seat.driver.observe(two, seat.call())).get(web1)).toEqual({
      ...{ state: 'running', address: '203.0.113.1' },
    })
    const there = seat.azure.remains()
    await seat.driver.lifecycle?.remove(host, seat.call())
    expect(seat.azure.remains()).toEqual(there)
    expect(callsOf('DELETE')).toEqual([])
  })

  test('is reached at its private address only if this is requested', async () => {
    const { name, group } = await makeTheirs()
    const [nic] = resourcesOf(seat.azure.store, 'Microsoft.Network/networkInterfaces')
    if (nic === undefined) throw new Error('no host was made')
    nic.body = JSON.parse(
      JSON.stringify(nic.body).replace(/"publicIPAddress":\{.*?\}+,/, ''),
    ) as typeof nic.body
    await expect(recall(`${group}/${name}`)).rejects.toMatchObject({
      kind: 'usage',
      message: `the virtual machine ${name} has no public address`,
      hint: expect.stringMatching(/^use --private-only if you can reach 10\.0\.0\.\d+/) as string,
    })
    const recalled = await recall(`${group}/${name}`, { privateOnly: true })
    expect(recalled).toMatchObject({ address: expect.stringMatching(/^10\./) as string })
    expect(await statusOf({ phase: 'ready', ...recalled })).toMatchObject({
      address: recalled.address,
    })
  })

  test('is changed by the resource IDs that it has, and nothing else changes', async () => {
    const { azure, driver } = seat
    const { name, group } = await makeTheirs()
    const { store } = azure
    const [machine] = resourcesOf(store, 'Microsoft.Compute/virtualMachines')
    const [disk] = resourcesOf(store, 'Microsoft.Compute/disks')
    if (machine === undefined || disk === undefined) throw new Error('no host was made')
    const theirs = disk.body.id
      .replace(`${name}-disk`, 'system')
      .replace(/resourceGroups\/[^/]+/, 'resourceGroups/front')
    store.resources.set(theirs.toLowerCase(), {
      ...disk,
      body: { ...disk.body, id: theirs, name: 'system', tags: {} },
    })
    machine.body = JSON.parse(
      JSON.stringify(machine.body).replaceAll(
        disk.body.id.replace(group, group.toUpperCase()),
        theirs,
      ),
    ) as typeof machine.body
    const host: HostRecord = { phase: 'ready', ...(await recall(`${group}/${name}`)) }
    const wanted = {
      disk: 64,
      size: 'Standard_D2s_v5',
      tags: 'team=red',
      ports: '80',
      sshCidr: '192.0.2.1',
    }
    const options = seat.options({ ...wanted, user: 'ana' })
    const compare = async () =>
      driver.update?.compare(host, options, { state: 'running' }, seat.call())
    expect(await compare()).toMatchObject([
      { option: 'size', how: 'stop' },
      { option: 'disk', how: 'stop', to: '64' },
      { option: 'tags', how: 'live' },
      { option: 'ports', how: 'replace', why: expect.stringContaining('did not create') as string },
      { option: 'sshCidr', how: 'replace' },
    ])
    await driver.power?.stop(host, seat.call())
    const only = new Set(['disk', 'size', 'tags'])
    await driver.update?.change(host, { options, only }, seat.call())
    expect(disk.body.properties['diskSizeGB']).toBe(30)
    expect(store.resources.get(theirs.toLowerCase())?.body.properties['diskSizeGB']).toBe(64)
    const tagged = resourcesOf(store).filter(({ body }) => body.tags?.['team'] === 'red')
    expect(typesOf(tagged.map(({ body }) => body.id))).toEqual([
      'disks',
      'networkInterfaces',
      'virtualMachines',
    ])

    const secured = JSON.stringify(machine.body).replace(
      '"osProfile":{',
      '"securityProfile":{"securityType":"TrustedLaunch","encryptionAtHost":true},"osProfile":{',
    )
    machine.body = JSON.parse(secured) as typeof machine.body
    expect((await recall(`${group}/${name}`)).resources).toMatchObject({
      securityType: 'TrustedLaunch',
      encryptionAtHost: 'yes',
    })

    const ephemeral = JSON.stringify(machine.body).replace(
      '"osDisk":{',
      '"osDisk":{"diffDiskSettings":{"option":"Local"},',
    )
    machine.body = JSON.parse(ephemeral) as typeof machine.body
    expect(await compare()).toContainEqual(
      expect.objectContaining({
        option: 'disk',
        how: 'replace',
        why: expect.stringContaining('ephemeral') as string,
      }),
    )
  })

  test.each([
    ['front/nobody', 'there is no virtual machine nobody in the resource group front'],
    ['nobody', 'nobody is not an Azure virtual machine ID'],
    [
      '/subscriptions/x/resourceGroups/g/providers/Microsoft.Web/sites/s',
      /is not an Azure virtual machine ID/,
    ],
  ])('is refused if there is no virtual machine %s', async (id, message) => {
    await expect(recall(id)).rejects.toMatchObject({
      kind: 'usage',
      message: expect.stringMatching(message) as string,
    })
  })
})

testDescribed(() => exchanges)

describe("Microsoft's API descriptions", () => {
  test('reject a misspelled value, an unknown property, and a secret in an answer', async ({
    skip,
  }) => {
    skip(judgeIsMissing !== undefined, judgeIsMissing)
    const put = exchanges.find(
      ({ request }) => operationOf(request) === 'PUT Microsoft.Compute/virtualMachines',
    )
    if (put === undefined) throw new Error('no virtual machine was made')
    const change = (from: string, to: string): Exchange => ({
      ...put,
      request: { ...put.request, text: put.request.text.replace(from, to) },
    })
    const secret = JSON.parse(JSON.stringify(put.answer.body)) as {
      properties: { osProfile: Record<string, unknown> }
    }
    secret.properties.osProfile['adminPassword'] = 'hunter2'
    const verdicts = await judge([
      put,
      change('StandardSSD_LRS', 'StandrdSSD_LRS'),
      change('"deleteOption"', '"deleteOptoin"'),
      { ...put, answer: { ...put.answer, body: secret } },
    ])
    expect(verdicts.map(({ troubles }) => troubles.length > 0)).toEqual([false, true, true, true])
  })
})
