import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import type { HostRecord } from '../../../src/machine/machine.ts'
import { type DriverSeat, newAttempt, seatDriver } from '../../support/azure/driver-seat.ts'
import { type AzureCli, makeAzureCli } from '../../support/azure/cli/azure-cli.ts'
import { addBastion, addNetwork } from '../../support/azure/networks.ts'

const path = process.env['PATH']
let seat: DriverSeat
let cli: AzureCli

beforeAll(async () => {
  cli = await makeAzureCli()
})
beforeEach(async () => {
  process.env['PATH'] = `${cli.folder}:${path}`
  seat = await seatDriver()
})
afterEach(async () => {
  await seat[Symbol.asyncDispose]()
  process.env['PATH'] = path
})
afterAll(() => cli[Symbol.asyncDispose]())

const reach = { subnet: 'net/main/hosts', privateOnly: true, reach: 'bastion' }
const attempt = (given: Record<string, unknown> = {}): Promise<HostRecord> =>
  seat.attempt(newAttempt(seat.options({ ...reach, ...given })), { driver: seat.driverWith({}) })
const failureOf = async (work: Promise<unknown>): Promise<UserError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof UserError) return error
  throw new Error(`expected a UserError, not ${String(error)}`)
}
const puts = () => seat.azure.exchanges.filter(({ request }) => request.method === 'PUT').length

describe('the Bastion of a host', () => {
  test('is the one in its network, or in a peered network', async () => {
    const main = addNetwork(seat.azure)
    const hub = addNetwork(seat.azure, { name: 'hub', peers: [main] })
    addNetwork(seat.azure, { peers: [hub] })
    addBastion(seat.azure, 'elsewhere', addNetwork(seat.azure, { name: 'other' }))
    const peered = addBastion(seat.azure, 'far', hub)
    const first = await attempt()
    expect(first.resources).toMatchObject({ reach: 'bastion', bastion: peered })
    expect(first.resources).not.toHaveProperty('sshCidr')
    const near = addBastion(seat.azure, 'near', main)
    const second = await attempt()
    expect(second.resources).toMatchObject({ bastion: near })
  })

  test.each<[string, () => void, Record<string, unknown>, RegExp, RegExp]>([
    ['no Bastion', () => {}, {}, /no Bastion in the virtual network main/, /--bastion GROUP\/NAME/],
    [
      'several Bastions',
      () => ['a', 'b'].map((name) => addBastion(seat.azure, name, addNetwork(seat.azure))),
      {},
      /several Bastions: net\/a, net\/b/,
      /--bastion/,
    ],
    [
      'a Bastion whose SKU does not support tunnels',
      () => addBastion(seat.azure, 'a', addNetwork(seat.azure), { sku: 'Basic' }),
      {},
      /a has the Basic SKU/,
      /az network bastion update --name a --resource-group net --subscription \S+ --enable-tunneling true --sku Standard/,
    ],
    [
      'a Bastion that does not allow native clients',
      () => addBastion(seat.azure, 'a', addNetwork(seat.azure), { enableTunneling: false }),
      { bastion: 'net/a' },
      /does not allow native clients/,
      /--enable-tunneling true$/,
    ],
    [
      'a Bastion that does not exist',
      () => {},
      { bastion: 'net/a' },
      /no Bastion a in the resource group net/,
      /az network bastion list/,
    ],
    [
      'no subnet',
      () => {},
      { subnet: undefined, privateOnly: false },
      /requires --subnet/,
      /--subnet/,
    ],
    [
      'no --reach option',
      () => {},
      { reach: undefined, bastion: 'net/a' },
      /--reach bastion/,
      /omit/,
    ],
  ])(
    'a host with %s is refused before anything is created',
    async (_, prepare, given, message, hint) => {
      addNetwork(seat.azure)
      prepare()
      const before = puts()
      const error = await failureOf(attempt(given))
      expect(error).toMatchObject({
        message: expect.stringMatching(message) as string,
        hint: expect.stringMatching(hint) as string,
      })
      expect(puts()).toBe(before)
    },
  )

  test('requires the Azure CLI and its extension, which are checked first', async () => {
    addBastion(seat.azure, 'a', addNetwork(seat.azure))
    await cli.mode('no-extension')
    expect(await failureOf(attempt())).toMatchObject({
      kind: 'unsupported',
      message: expect.stringContaining('bastion extension') as string,
      hint: expect.stringContaining('az extension add --name bastion') as string,
    })
    await cli.mode('')
    await cli.install(false)
    process.env['PATH'] = cli.folder
    const missing = await failureOf(attempt())
    await cli.install()
    process.env['PATH'] = `${cli.folder}:${path}`
    expect(missing).toMatchObject({
      message: '--reach bastion requires the Azure CLI (az)',
      hint: expect.stringContaining('install the Azure CLI') as string,
    })
  })
})
