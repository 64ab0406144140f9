import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { setLogLevel } from '@azure/logger'
import { describe, expect, test, vi } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { type Fault, operationOf } from '../../support/azure/azure.ts'
import {
  type DriverSeat,
  fleetId,
  newAttempt,
  seatEachTest,
  userData,
} from '../../support/azure/driver-seat.ts'
import { testDescribed } from '../../support/azure/described.ts'
import { addNetwork } from '../../support/azure/networks.ts'
import { Refusal } from '../../support/azure/exchange.ts'

let seat: DriverSeat
const exchanges = seatEachTest((given) => (seat = given))

const failureOf = async (work: Promise<unknown>): Promise<UserError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof UserError) return error
  throw new Error(`expected a UserError, not ${String(error)}`)
}

const attempt = (given: Record<string, unknown> = {}) =>
  seat.attempt(newAttempt(seat.options(given)))

const puts = () => seat.azure.exchanges.filter(({ request }) => request.method === 'PUT')

describe('before creating anything', () => {
  test.each<[string, Record<string, unknown>, RegExp, RegExp]>([
    [
      'an unknown location',
      { location: 'westeurop' },
      /no Azure location named westeurop/,
      /westeurope\?/,
    ],
    [
      'a location without the size',
      { location: 'eastus2' },
      /no size Standard_B2als_v2 in eastus2/,
      /size/,
    ],
    ['a mistyped size', { size: 'Standard_B2als_v3' }, /no size/, /Standard_B2als_v2\?/],
    ['a restricted size', { size: 'Standard_NC24' }, /not available to the subscription/, /--size/],
    [
      'a zone without the size',
      { size: 'Standard_D2s_v5', zone: '3' },
      /zone 3.*available zones: 1, 2/,
      /--zone/,
    ],
    [
      'a spot virtual machine of a size that is not available as spot',
      { size: 'Standard_A1_v2', spot: true },
      /spot virtual machine/,
      /--size/,
    ],
    [
      'a premium disk for a size that does not support it',
      { size: 'Standard_A1_v2', diskType: 'Premium_LRS' },
      /premium/,
      /--disk-type/,
    ],
    [
      'Trusted Launch for a size that does not support it',
      { size: 'Standard_M8ms', securityType: 'TrustedLaunch' },
      /Standard_M8ms does not support Trusted Launch/,
      /--security-type/,
    ],
    [
      'Trusted Launch for a size that supports only generation 1',
      { size: 'Standard_A1_v2', securityType: 'TrustedLaunch' },
      /does not support Trusted Launch/,
      /--size/,
    ],
    [
      'encryption at host for a size that does not support it',
      { size: 'Standard_A1_v2', encryptionAtHost: true },
      /does not support encryption at host/,
      /--size/,
    ],
    [
      'a marketplace image that does not exist',
      { image: 'Debian:debian-99:99:latest' },
      /no image Debian:debian-99/,
      /az vm image/,
    ],
    [
      'an image for another architecture',
      { size: 'Standard_B2pls_v2', image: 'Debian:debian-13:13-gen2:latest' },
      /for x64.*is Arm64/,
      /--image/,
    ],
    [
      'an image of another generation',
      { size: 'Standard_A1_v2', image: 'Debian:debian-13:13-gen2:latest' },
      /generation V2.*only V1/,
      /--image/,
    ],
    [
      'an image of another subscription',
      { image: '/subscriptions/x/resourceGroups/g/providers/Microsoft.Compute/images/i' },
      /not an image in this subscription/,
      /galleries/,
    ],
    [
      'an image of this subscription that does not exist',
      { image: 'OWN' },
      /there is no image/,
      /--image/,
    ],
    [
      'a size that exceeds the core quota',
      { size: 'Standard_D64s_v5' },
      /quota standardDSv5Family.*0 of 10 in use, 64 more required/,
      /portal/,
    ],
    [
      'a resource group that does not exist',
      { resourceGroup: 'nowhere' },
      /no resource group nowhere/,
      /--resource-group/,
    ],
    [
      'a virtual network that does not exist',
      { subnet: 'net/other/hosts' },
      /no virtual network other/,
      /--subnet/,
    ],
    ['a subnet that does not exist', { subnet: 'net/main/other' }, /no subnet other/, /--subnet/],
    [
      'a subnet without a resource group',
      { subnet: 'main/hosts' },
      /requires a resource group/,
      /GROUP/,
    ],
    [
      'a private host that fleet cannot reach',
      { privateOnly: true },
      /cannot be reached/,
      /--subnet/,
    ],
    [
      'a DNS label without a public address',
      { privateOnly: true, subnet: 'net/main/hosts', dnsLabel: 'abc' },
      /requires a public address/,
      /--dns-label/,
    ],
    [
      'a subscription that the login cannot access',
      { subscription: '00000000-0000-0000-0000-000000000000' },
      /no access to this subscription/,
      /--tenant/,
    ],
  ])('refuses %s', async (_, given, message, hint) => {
    addNetwork(seat.azure)
    const own = `/subscriptions/${seat.azure.subscription}/resourceGroups/net/providers/Microsoft.Compute/images/i`
    const error = await failureOf(attempt(given['image'] === 'OWN' ? { image: own } : given))
    expect(error.kind).toBe('usage')
    expect(error.message).toMatch(message)
    expect(error.hint).toMatch(hint)
    expect(puts()).toEqual([])
  })

  test.each<[string, string, string, RegExp]>([
    ['in another location', 'northeurope', '10.1.0.0/24', /is in northeurope, not in westeurope/],
    ['that is full', 'westeurope', '10.1.0.0/30', /has no free addresses/],
  ])('refuses a network %s', async (_, location, prefix, message) => {
    addNetwork(seat.azure, { location, prefix })
    const error = await failureOf(attempt({ subnet: 'net/main/hosts' }))
    expect(error.message).toMatch(message)
    expect(puts()).toEqual([])
  })
})

const rule = (name: string, priority: number, properties: object) => ({
  name,
  properties: { direction: 'Inbound', priority, protocol: 'Tcp', access: 'Allow', ...properties },
})
const ssh = { destinationPortRange: '22', sourceAddressPrefix: '*' }

/** Resolves to the plan's notes for a host in a subnet with these rules. */
async function notesWith(securityRules: readonly object[], given: Record<string, unknown> = {}) {
  addNetwork(seat.azure)
  const { store, subscription } = seat.azure
  const id = `/subscriptions/${subscription}/resourceGroups/net/providers/Microsoft.Network/networkSecurityGroups/guard`
  const type = 'Microsoft.Network/networkSecurityGroups'
  store.resources.set(id.toLowerCase(), {
    body: { id, name: 'guard', type, location: 'westeurope', properties: { securityRules } },
    busy: false,
    secrets: {},
  })
  const network = [...store.resources.values()].find(({ body }) => body.name === 'main')
  const [subnet] = (network?.body.properties['subnets'] ?? []) as { properties: object }[]
  Object.assign(subnet?.properties ?? {}, { networkSecurityGroup: { id } })
  const wish = {
    name: 'web-1' as MachineName,
    token: '0123456789abcdef',
    tags: {},
    resources: {},
  }
  const options = seat.options({ subnet: 'net/main/hosts', ...given })
  return (await seat.driver.lifecycle?.plan(wish, options, seat.call()))?.notes.join('\n') ?? ''
}

describe('the security group of a subnet', () => {
  const note = "the subnet's security group guard does not allow SSH from 198.51.100.7/32"

  test.each<[string, boolean, readonly object[], Record<string, unknown>]>([
    ['without rules', true, [], {}],
    ['that allows SSH from everywhere', false, [rule('ssh', 300, ssh)], {}],
    [
      'that denies SSH with a higher priority',
      true,
      [rule('ssh', 300, ssh), rule('no', 200, { ...ssh, access: 'Deny', protocol: '*' })],
      {},
    ],
    [
      "that allows a range with this computer's address",
      false,
      [
        rule('office', 300, {
          destinationPortRanges: ['80', '20-30'],
          sourceAddressPrefixes: ['192.0.2.1', '198.51.100.0/24'],
        }),
      ],
      {},
    ],
    [
      'that allows only another range',
      true,
      [rule('office', 300, { destinationPortRange: '*', sourceAddressPrefix: '192.0.2.0/24' })],
      {},
    ],
    ['with SSH from a private network', false, [], { sshCidr: '10.9.0.0/16' }],
    ['with a private host', false, [], { privateOnly: true }],
  ])('%s is noted in the plan: %s', async (_, isNoted, rules, given) => {
    const notes = await notesWith(rules, given)
    expect(notes.includes(note)).toBe(isNoted)
    expect(notes.includes('guard')).toBe(isNoted)
  })
})

describe('existing resources and registrations', () => {
  test('a subnet is used for a host without a public address', async () => {
    addNetwork(seat.azure)
    const host = await attempt({ subnet: 'net/main/hosts', privateOnly: true })
    expect(host.address).toMatch(/^10\.0\.0\./)
    expect(host.resources).toMatchObject({ access: 'private' })
    const made = puts().map(({ request }) => operationOf(request))
    expect(made).not.toContain('PUT Microsoft.Network/virtualNetworks')
    expect(made).not.toContain('PUT Microsoft.Network/publicIPAddresses')
    await seat.remove(host)
    expect(seat.azure.remains()).toHaveLength(2)
  })

  test('resource providers are registered only with --register-providers', async () => {
    seat.azure.registrations.set('Microsoft.Network', 'NotRegistered')
    const error = await failureOf(attempt())
    expect(error).toMatchObject({
      kind: 'usage',
      hint: expect.stringContaining('--register-providers') as string,
    })
    expect(seat.azure.registrations.get('Microsoft.Network')).toBe('NotRegistered')
    await attempt({ registerProviders: true })
    expect(seat.azure.registrations.get('Microsoft.Network')).toBe('Registered')
    expect(seat.steps.join()).toContain('register Microsoft.Network')
  })
})

describe('an error from Azure', () => {
  test.each<[number, string, string, string, RegExp]>([
    [409, 'SkuNotAvailable', 'not available', 'usage', /--zone/],
    [409, 'OperationNotAllowed', 'exceeding approved quota', 'usage', /portal/],
    [403, 'RequestDisallowedByPolicy', 'policy', 'usage', /exemption/],
    [403, 'AuthorizationFailed', 'no authorization', 'credentials', /role/],
    [403, 'LinkedAuthorizationFailed', 'no authorization', 'credentials', /role/],
    [409, 'MissingSubscriptionRegistration', 'not registered', 'usage', /--register-providers/],
    [409, 'ScopeLocked', 'locked', 'failed', /lock/],
    [400, 'ResourcePurchaseValidationFailed', 'terms', 'usage', /terms accept/],
    [409, 'SomethingElse', 'for no reason', 'failed', /^$/],
  ])('%i %s (%s) has a fitting kind and hint', async (status, code, message, kind, hint) => {
    const how = { status, body: { error: { code, message } } }
    seat.azure.onCall = (operation) =>
      operation === 'PUT Microsoft.Compute/virtualMachines' ? { when: 'before', how } : undefined
    const error = await failureOf(attempt())
    expect(error.kind).toBe(kind)
    expect(error.message).toContain(message)
    expect(error.hint ?? '').toMatch(hint)
  })

  test.each(['AllocationFailed', 'ZonalAllocationFailed', 'OverconstrainedAllocationRequest'])(
    '%s after the VM was accepted can be retried with other user-data, which re-creates it',
    async (code) => {
      const { azure } = seat
      azure.allocation = () => new Refusal(409, code, 'No room. Try later.')
      const host = newAttempt(seat.options())
      const error = await failureOf(seat.attempt(host))
      expect(error).toMatchObject({
        kind: 'failed',
        hint: expect.stringContaining('later, or choose another --size') as string,
      })
      expect(error.message).toContain('No room')
      azure.allocation = () => undefined
      await seat.attempt(host, { userData: `${userData}# another attempt\n` })
      expect(azure.remains().filter((id) => id.includes('/virtualMachines/'))).toHaveLength(1)
      await seat.remove(host.record)
      expect(azure.remains()).toEqual([])
    },
  )
})

/** Returns an attempt that failed because Azure had no capacity for the virtual machine. */
async function refused(given: Record<string, unknown>) {
  const { azure } = seat
  azure.allocation = () => new Refusal(409, 'AllocationFailed', 'No room. Try later.')
  const host = newAttempt(seat.options(given))
  await failureOf(seat.attempt(host))
  azure.allocation = () => undefined
  return host
}
const bodies = () => [...seat.azure.store.resources.values()].map(({ body }) => body)

const machine = () => bodies().find(({ type }) => type.endsWith('/virtualMachines'))

describe('a failed creation', () => {
  test.each<[string, Record<string, unknown>, object]>([
    [
      'size and architecture',
      { size: 'Standard_B2pls_v2' },
      { properties: { hardwareProfile: { vmSize: 'Standard_B2pls_v2' } } },
    ],
    ['zone', { zone: '3' }, { zones: ['3'] }],
    [
      'image',
      { image: 'ubuntu-24.04' },
      { properties: { storageProfile: { imageReference: { sku: 'server' } } } },
    ],
    ['location', { location: 'northeurope' }, { location: 'northeurope' }],
    [
      'location, zone, size and network',
      {
        location: 'northeurope',
        zone: '2',
        size: 'Standard_D2s_v5',
        privateOnly: true,
        subnet: 'net/main/hosts',
      },
      { location: 'northeurope', zones: ['2'] },
    ],
  ])('continues with another %s', async (_, other, expected) => {
    addNetwork(seat.azure, { location: 'northeurope' })
    const host = await refused({ zone: '1', tags: 'team=red' })
    const again = { ...host, options: seat.options(other) }
    await seat.attempt(again, { userData: `${userData}# another attempt\n` })
    expect(machine()).toMatchObject(expected)
    const startedThere = other['location'] === undefined ? [] : bodies()
    expect(startedThere.filter(({ location }) => location === 'westeurope')).toEqual([])
    const made = await seat.driver.update?.compare(
      again.record,
      again.options,
      { state: 'running' },
      seat.call(),
    )
    expect(made).toEqual([])
    const status = await seat.driver.observe(
      new Map([['web-1' as MachineName, again.record]]),
      seat.call(),
    )
    expect(status.get('web-1' as MachineName)).toEqual({
      state: 'running',
      address: again.record.address,
    })
    await seat.remove(again.record)
    expect(seat.azure.remains()).toHaveLength(2)
  })

  test('in an existing subnet continues in another network', async () => {
    addNetwork(seat.azure)
    const host = await refused({ subnet: 'net/main/hosts' })
    const again = { ...host, options: seat.options() }
    await seat.attempt(again)
    expect(again.record.resources).not.toHaveProperty('subnet')
    await seat.remove(again.record)
    expect(seat.azure.remains()).toHaveLength(2)
  })

  test('does not continue in another group, where its resources would not be found', async () => {
    seat.azure.addGroup('yours')
    const host = await refused({})
    const again = { ...host, options: seat.options({ resourceGroup: 'yours' }) }
    const error = await failureOf(seat.attempt(again))
    expect(error.message).toMatch(
      /started creating the machine in a new resource group and cannot continue in the resource group yours/,
    )
    expect(error.hint).toContain('fleet rm')
    await seat.remove(host.record)
  })

  test('of an existing host notes that fleet plan shows the differences', async () => {
    const host = newAttempt(seat.options())
    await seat.attempt(host)
    const plan = await seat.driver.lifecycle?.plan(
      {
        name: host.name,
        token: host.record.token ?? '',
        tags: {},
        resources: host.record.resources ?? {},
      },
      seat.options({ size: 'Standard_D2s_v5' }),
      seat.call(),
    )
    expect(plan?.notes.join()).toContain('fleet plan')
    expect(plan?.resources).toMatchObject({ size: 'Standard_B2als_v2' })
  })
})

const throttled = (seconds: string) => ({
  when: 'before' as const,
  how: {
    status: 429,
    headers: { 'retry-after': seconds },
    body: { error: { code: 'TooManyRequests', message: 'slow down' } },
  },
})

/** Returns a fault that refuses `operation` with Azure's AuthorizationFailed error for a missing permission. */
const forbid =
  (operation: string, right: string, scope: string) =>
  (asked: string): Fault | undefined =>
    asked === operation
      ? {
          when: 'before',
          how: {
            status: 403,
            body: {
              error: {
                code: 'AuthorizationFailed',
                message: `The client 'c' with object id 'o' does not have authorization to perform action '${right}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
              },
            },
          },
        }
      : undefined

describe('a role that is limited to resource groups', () => {
  test('creates, changes, finds and removes hosts there', async () => {
    const { azure, driver } = seat
    addNetwork(seat.azure)
    for (const name of ['yours', 'foreign']) azure.addGroup(name)
    await attempt({ resourceGroup: 'foreign' })
    azure.onlyGroups = ['yours', 'net']
    const by = seat.driverWith({})
    const given = { resourceGroup: 'yours', subnet: 'net/main/hosts', size: 'Standard_B2pls_v2' }
    const made = newAttempt(seat.options(given), 'web-2')
    const host = await seat.attempt(made, { driver: by })
    expect(host.resources).toMatchObject({ image: 'Debian:debian-13:13-arm64:latest' })
    const hosts = new Map(['web-2', 'web-3'].map((name) => [name as MachineName, host]))
    const seen = await by.observe(hosts, seat.call())
    expect([...seen.values()].map(({ state }) => state)).toEqual(['running', 'running'])
    const found = await by.lifecycle?.list({ id: fleetId, options: [] }, seat.call())
    expect(found?.map(({ machine: name }) => name)).toEqual(['web-2'])
    const options = seat.options({ ...given, size: 'Standard_B2als_v2' })
    expect(
      await by.update?.compare(host, options, { state: 'running' }, seat.call()),
    ).toMatchObject([{ option: 'size', how: 'replace', why: 'Standard_B2als_v2 is x64' }])
    await by.lifecycle?.remove(host, seat.call())
    azure.onlyGroups = undefined
    const left = await driver.lifecycle?.list({ id: fleetId, options: [] }, seat.call())
    expect(left?.map(({ machine: name }) => name)).toEqual(['web-1'])
  })

  test('causes a note of what was not checked, and an error if a group must be created', async () => {
    const { azure } = seat
    azure.addGroup('yours')
    azure.onlyGroups = ['yours']
    const wish = {
      name: 'web-1' as MachineName,
      token: '0123456789abcdef',
      tags: {},
      resources: {},
    }
    const given = seat.options({ resourceGroup: 'yours' })
    const plan = await seat.driver.lifecycle?.plan(wish, given, seat.call())
    expect(plan?.notes.at(-1)).toBe(
      'could not check the location, the size, the image, the quotas: your login lacks read permission for the subscription',
    )
    const error = await failureOf(attempt())
    expect(error.message).toMatch(/lacks the .*resourceGroups\/write permission on /)
    expect(error.hint).toContain('--resource-group')
  })
})

describe('a missing permission', () => {
  const scope = '/subscriptions/s'

  test.each([
    ['GET Microsoft.Compute/virtualMachines', 'Microsoft.Compute/virtualMachines/read'],
    ['GET Microsoft.Network/publicIPAddresses', 'Microsoft.Network/publicIPAddresses/read'],
    ['GET subscription/resources', 'Microsoft.Resources/subscriptions/resources/read'],
    ['GET resourceGroup', 'Microsoft.Resources/subscriptions/resourceGroups/read'],
  ])('for the list %s is named', async (operation, right) => {
    const host = await attempt()
    seat.azure.onCall = forbid(operation, right, scope)
    const two = new Map(['web-1', 'web-2'].map((name) => [name as MachineName, host]))
    const asked = operation.startsWith('GET Microsoft.')
      ? seat.driver.observe(two, seat.call())
      : seat.driver.lifecycle?.list({ id: 'x', options: [{}] }, seat.call())
    const error = await failureOf(asked ?? Promise.resolve())
    expect(error).toMatchObject({
      kind: 'credentials',
      message: `your login lacks the ${right} permission on ${scope}`,
    })
    expect(error.hint).toContain('docs/drivers/azure.md')
  })

  test('to join a resource is named with that resource', async () => {
    const message =
      "The client 'c' with object id 'o' has permission to perform action 'Microsoft.Network/networkInterfaces/write' on scope '/subscriptions/s/a'; however, it does not have permission to perform action 'Microsoft.Network/virtualNetworks/subnets/join/action' on the linked scope(s) '/subscriptions/s/subnet' or the linked scope(s) are invalid."
    const how = { status: 403, body: { error: { code: 'LinkedAuthorizationFailed', message } } }
    seat.azure.onCall = (operation) =>
      operation === 'PUT Microsoft.Network/networkInterfaces' ? { when: 'before', how } : undefined
    expect((await failureOf(attempt())).message).toBe(
      'your login lacks the Microsoft.Network/virtualNetworks/subnets/join/action permission on /subscriptions/s/subnet',
    )
  })
})

describe('throttling', () => {
  test('is reported while fleet waits, followed by the step again', async () => {
    let left = 1
    seat.azure.onCall = (operation) =>
      operation === 'PUT resourceGroup' && left-- > 0 ? throttled('2') : undefined
    await attempt()
    const at = seat.steps.indexOf('wait for Azure: requests are being throttled; retrying in 2 s')
    expect(seat.steps.slice(at - 1, at + 2)).toEqual([
      expect.stringMatching(/^create the resource group: /),
      expect.anything(),
      'create the resource group',
    ])
  })

  test('is waited out for as long as Azure says', async () => {
    let left = 2
    seat.azure.onCall = (operation) =>
      operation === 'PUT resourceGroup' && left-- > 0 ? throttled('1') : undefined
    const start = performance.now()
    await attempt()
    expect(performance.now() - start).toBeGreaterThan(2000)
  })

  test('for an hour is reported immediately', async () => {
    seat.azure.onCall = (operation) =>
      operation === 'GET Microsoft.Compute/skus' ? throttled('3600') : undefined
    expect((await failureOf(attempt())).message).toContain('will accept the next one in 3600 s')
  })
})

const without = (pattern: RegExp): void => {
  for (const name of Object.keys(process.env)) if (pattern.test(name)) delete process.env[name]
}
const refusedLogin = () =>
  failureOf(
    seat.driverWith({}).lifecycle?.list({ id: 'x', options: [{}] }, seat.call()) ??
      Promise.resolve(),
  )

test('a subscription that the login cannot access is not mistaken for one without the host', async () => {
  const host = await attempt()
  const resources = { ...host.resources, subscription: '00000000-0000-0000-0000-000000000000' }
  const elsewhere = { ...host, resources }
  expect(await failureOf(seat.remove(elsewhere))).toMatchObject({ kind: 'usage' })
  const hosts = new Map([['web-1' as MachineName, elsewhere]])
  expect(await failureOf(seat.driver.observe(hosts, seat.call()))).toMatchObject({ kind: 'usage' })
})

describe('the login', () => {
  test('is reported without the secret if it is refused', async () => {
    process.env['AZURE_CLIENT_SECRET'] = 'wrong~secret'
    const error = await refusedLogin()
    expect(error.kind).toBe('credentials')
    expect(error.hint).toContain('az login')
    expect(error.message).toBe(
      'Azure rejected your login: AADSTS7000215: Invalid client secret provided',
    )
  })

  // This must be the first test with managed identities: MSAL keeps the first endpoint that a process has found.
  test('can be a managed identity, whose endpoint is called without the proxy', async () => {
    const token = 'TOKEN-OF-IDENTITY'
    seat.azure.login.tokens.add(token)
    const asked: string[] = []
    const endpoint = createServer(({ url, headers }, response) => {
      asked.push(`${url?.replace(/\/?\?.*/, '')} ${String(headers['metadata'])}`)
      const body = { access_token: token, expires_in: '3599', token_type: 'Bearer', resource: '' }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(body))
    })
    endpoint.listen(0, '127.0.0.1')
    await once(endpoint, 'listening')
    try {
      without(/^AZURE_(?:CLIENT|TENANT)/)
      const { port } = endpoint.address() as AddressInfo
      process.env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] = `http://127.0.0.1:${port}`
      process.env['AZURE_TOKEN_CREDENTIALS'] = 'ManagedIdentityCredential'
      const { lifecycle } = seat.driverWith({})
      expect(await lifecycle?.list({ id: 'x', options: [{}] }, seat.call())).toEqual([])
      expect(new Set(asked)).toEqual(new Set(['/metadata/identity/oauth2/token true']))
      expect(new Set(seat.azure.proxied)).toEqual(new Set(['management.azure.com:443']))
    } finally {
      endpoint.close()
    }
  })

  test('is reported missing in one sentence, and no managed identity is requested through the proxy', async () => {
    without(/^AZURE_(?:CLIENT|TENANT)/)
    const error = await refusedLogin()
    expect(error).toMatchObject({ kind: 'credentials', message: 'no Azure login was found' })
    expect(error.hint).toMatch(/^run az login/)
    expect(seat.azure.proxied).toEqual([])
  })

  test('is reported as unreachable, not as refused, if its endpoint cannot be reached', async () => {
    const vacant = createServer().listen(0, '127.0.0.1')
    await once(vacant, 'listening')
    const { port } = vacant.address() as AddressInfo
    vacant.close()
    await once(vacant, 'close')
    process.env['HTTPS_PROXY'] = `http://127.0.0.1:${port}`
    const error = await refusedLogin()
    expect(error).toMatchObject({
      kind: 'unreachable',
      message: 'the Azure login endpoint login.microsoftonline.com cannot be reached: ECONNREFUSED',
    })
    expect(error.hint).toContain('HTTPS_PROXY')
  })

  test('is that of az, with its subscription, if the environment has none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'az-'))
    const token = 'TOKEN-OF-AZ'
    seat.azure.login.tokens.add(token)
    const answers = {
      show: { id: seat.azure.subscription },
      'get-access-token': {
        accessToken: token,
        expiresOn: '2099-01-01 00:00:00.000000',
        expires_on: 4_070_908_800,
      },
    }
    const cases = Object.entries(answers).map(
      ([verb, answer]) => `${verb}) echo '${JSON.stringify(answer)}';;`,
    )
    await writeFile(join(folder, 'az'), `#!/bin/sh\ncase "$2" in ${cases.join(' ')} esac\n`)
    await chmod(join(folder, 'az'), 0o755)
    const { PATH } = process.env
    try {
      without(/^AZURE_/)
      process.env['AZURE_TOKEN_CREDENTIALS'] = 'AzureCliCredential'
      process.env['PATH'] = `${folder}:${PATH}`
      const driver = seat.driverWith({})
      expect(await driver.lifecycle?.list({ id: 'x', options: [{}] }, seat.call())).toEqual([])
      expect(seat.azure.exchanges.at(-1)?.request.headers['authorization']).toBe(`Bearer ${token}`)
    } finally {
      process.env['PATH'] = PATH
      await rm(folder, { recursive: true })
    }
  })

  test('in a cloud with only older API versions creates hosts with these', async () => {
    const { azure } = seat
    azure.knownVersions = ['2021-07-01', '2024-03-01', '2024-04-01-preview', '2099-01-01']
    const host = await attempt({ cloud: 'china' })
    expect(host.resources).toMatchObject({ cloud: 'china' })
    const hosts = new Map(['web-1', 'web-2'].map((name) => [name as MachineName, host]))
    const seen = await seat.driver.observe(hosts, seat.call())
    expect([...seen.values()].map(({ state }) => state)).toEqual(['running', 'running'])
    await seat.remove(host)
    expect(azure.remains()).toEqual([])
    const refused = azure.exchanges.filter(({ answer }) => answer.status === 400)
    const kinds = refused.map(({ request }) =>
      request.path.replace(/^.*\/providers\/([^/]+\/[^/]+).*$/i, '$1'),
    )
    // Each kind of resource is refused once, or twice if two requests are concurrent.
    expect(kinds.length).toBeLessThanOrEqual(new Set(kinds).size + 1)
    const used = puts()
      .filter(({ answer }) => answer.status < 300)
      .map(({ request }) => request.query.get('api-version'))
    expect(new Set(used)).toEqual(new Set(['2024-03-01']))
  })

  test('with a device code is reported as progress, and only if it is requested', async () => {
    process.env['FLEET_AZURE_LOGIN'] = 'device-code'
    try {
      await seat.driverWith({}).lifecycle?.list({ id: 'x', options: [{}] }, seat.call())
      expect(seat.steps.join()).toContain('enter ABCD1234')
    } finally {
      delete process.env['FLEET_AZURE_LOGIN']
    }
  })

  test.each([
    ['china', /^(?:management\.chinacloudapi|login\..*)\.cn$/],
    ['usgov', /^(?:management\.usgovcloudapi\.net|login\.microsoftonline\.us)$/],
  ])('of the cloud %s calls only hosts of that cloud', async (cloud, own) => {
    await seat.driver.lifecycle?.list({ id: 'x', options: [{ cloud }] }, seat.call())
    const hosts = new Set(seat.azure.exchanges.map(({ request }) => request.host))
    expect(hosts.size).toBeGreaterThan(1)
    expect([...hosts].filter((host) => !own.test(host))).toEqual([])
  })
})

test('errors, records and steps contain no secrets, and the SDK logs nothing', async () => {
  const { azure } = seat
  const logged = vi.spyOn(process.stderr, 'write')
  setLogLevel('verbose') // as AZURE_LOG_LEVEL does when the SDK is loaded
  seat.driverWith({})
  const host = newAttempt(seat.options())
  azure.onCall = (operation) =>
    operation === 'PUT Microsoft.Compute/virtualMachines'
      ? {
          when: 'before',
          how: {
            status: 400,
            body: {
              error: { code: 'InvalidParameter', message: 'see https://x.example/a?sig=SIGNED' },
            },
          },
        }
      : undefined
  const error = await failureOf(seat.attempt(host))
  azure.onCall = undefined
  await seat.attempt(host)
  const said = [
    inspect(error, { depth: 9, showHidden: true }),
    JSON.stringify(host.record),
    ...seat.steps,
  ].join('\n')
  const signed = azure.exchanges
    .flatMap(({ answer }) => Object.values(answer.headers ?? {}))
    .filter((text) => text.includes('&c='))
  expect(signed.length).toBeGreaterThan(0)
  const secrets = [
    ...azure.login.tokens,
    azure.login.clientSecret,
    'SECRET-USER-DATA',
    Buffer.from(userData).toString('base64'),
    'SIGNED',
    ...signed.flatMap((url) => /&c=([^&]+)/.exec(url)?.[1] ?? []),
  ]
  for (const secret of secrets) expect(said).not.toContain(secret)
  expect(logged).not.toHaveBeenCalled()
  logged.mockRestore()
})

testDescribed(() => exchanges)
