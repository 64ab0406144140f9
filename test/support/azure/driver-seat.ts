import { afterEach, beforeEach } from 'vitest'
import type { Call, Driver, HostPlan, HostSpec, DriverState } from '../../../src/drivers/driver.ts'
import { azureTimeouts, type Timeouts } from '../../../src/drivers/azure/api/azure-api.ts'
import { azureOptions, type AzureOptions } from '../../../src/drivers/azure/options.ts'
import { azureDriver } from '../../../src/drivers/azure/driver.ts'
import { type HostRecord, mergeResources } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { type AzureOptions as StandInOptions, type AzureStandIn, startAzure } from './azure.ts'
import { trustAuthority } from '../certificates.ts'
import type { Exchange } from './exchange.ts'

/** Short timeouts for the test double. */
const quick: Timeouts = {
  ...azureTimeouts,
  requestTimeoutMs: 5000,
  pollMs: 10,
  retryMs: 10,
  busyMs: 2000,
}

type AzureDriver = Driver<AzureOptions>

/** The options of an attempt. */
interface How {
  readonly driver?: AzureDriver
  readonly signal?: AbortSignal
  readonly onRecord?: () => void
  readonly userData?: string | Uint8Array
  readonly publicKey?: string
}

/** The Azure driver in this process, which can reach only the test double. */
export interface DriverSeat extends AsyncDisposable {
  readonly azure: AzureStandIn
  readonly driver: AzureDriver
  /** Each reported step, with its detail. */
  readonly steps: string[]
  call(signal?: AbortSignal): Call
  options(given?: Partial<Record<string, unknown>>): AzureOptions
  /** Returns another driver for the same test double. */
  driverWith(tempo: Partial<Timeouts>): AzureDriver
  /** Plans, records and creates a host, as fleet does. If that fails, the records so far are kept in `host`. */
  attempt(host: Attempt, how?: How): Promise<HostRecord>
  remove(host: HostRecord): Promise<void>
}

/** The creation of a host; `record` is its record in the inventory. */
export interface Attempt {
  readonly name: MachineName
  readonly options: AzureOptions
  record: HostRecord
}

let tokens = 0

/** Returns a token in fleet's format. */
const newToken = (): string =>
  `${String((tokens += 1)).padStart(8, '0')}-1c2d-4e3f-8a4b-5c6d7e8f9a0b`

/** Returns a host before its first attempt. */
export const newAttempt = (options: AzureOptions, name = 'web-1'): Attempt => ({
  name: name as MachineName,
  options,
  record: { phase: 'creating', token: newToken() },
})

export const fleetId = '4f0c2f6e'
const loginKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB'
export const userData = '#cloud-config\n# SECRET-USER-DATA\n'

const wishOf = ({ name, record: { token = '', resources = {}, id } }: Attempt): HostSpec => ({
  name,
  token,
  tags: { fleet: 'machine', 'fleet:id': fleetId, 'fleet:machine': name, 'fleet:token': token },
  resources,
  id,
})

/** Creates the driver for a test double. Until disposal, the environment of this process points to the test double. */
export async function seatDriver(
  options: StandInOptions = {},
  tempo: Partial<Timeouts> = {},
): Promise<DriverSeat> {
  const standIn = await startAzure(options)
  const undoTrust = trustAuthority(standIn.ca)
  const before = { ...process.env }
  for (const name of Object.keys(process.env))
    if (/^AZURE_|proxy$/i.test(name)) delete process.env[name]
  Object.assign(process.env, standIn.env)
  delete process.env['NODE_EXTRA_CA_CERTS']
  const driverWith = (other: Partial<Timeouts>) =>
    azureDriver(process.env, { ...quick, ...tempo, ...other })
  const driver = driverWith({})
  const steps: string[] = []
  const call = (signal = new AbortController().signal): Call => ({
    signal,
    progress: (step, detail) => steps.push(detail === undefined ? step : `${step}: ${detail}`),
  })
  const planOf = (host: Attempt, by: AzureDriver, signal?: AbortSignal): Promise<HostPlan> => {
    if (by.lifecycle === undefined) throw new Error('no lifecycle')
    return by.lifecycle.plan(wishOf(host), host.options, call(signal))
  }

  return {
    azure: standIn,
    driver,
    steps,
    call,
    options: (given = {}) => azureOptions.parse({ location: 'westeurope', ...given }),
    driverWith,
    async attempt(host, how = {}) {
      const { driver: by = driver, signal, onRecord } = how
      const { userData: data = userData, publicKey = loginKey } = how
      const plan = await planOf(host, by, signal)
      host.record = {
        ...host.record,
        resources: mergeResources(host.record.resources, plan.resources),
      }
      const record = async (made: { id?: string; resources?: DriverState }) => {
        onRecord?.()
        signal?.throwIfAborted()
        host.record = { ...host.record, ...made }
      }
      const seed = { publicKey, userData: Buffer.from(data), record }
      const facts = await plan.make(seed, call(signal))
      host.record = { ...host.record, ...facts, phase: 'ready' }
      return host.record
    },
    async remove(host) {
      await driver.lifecycle?.remove(host, call())
    },
    async [Symbol.asyncDispose]() {
      undoTrust()
      for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
      Object.assign(process.env, before)
      await standIn[Symbol.asyncDispose]()
    },
  }
}

/**
 * Creates a separate driver and test double for each test of a file. Returns the exchanges of all
 * finished tests.
 */
export function seatEachTest(
  use: (seat: DriverSeat) => void,
  options: StandInOptions = {},
): readonly Exchange[] {
  const exchanges: Exchange[] = []
  let seat: DriverSeat
  beforeEach(async () => {
    use((seat = await seatDriver(options)))
  })
  afterEach(async () => {
    exchanges.push(...seat.azure.exchanges)
    await seat[Symbol.asyncDispose]()
  })
  return exchanges
}
