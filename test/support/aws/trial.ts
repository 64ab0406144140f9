import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { awsDriver } from '../../../src/drivers/aws/driver.ts'
import { awsOptions } from '../../../src/drivers/aws/options.ts'
import type { Call, HostFacts, HostPlan, Lifecycle, Power } from '../../../src/drivers/driver.ts'
import { mergeResources, type HostRecord, type HostStatus } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import type { Aws } from './aws.ts'

/** Returns a call that is never aborted and stores the reported steps in `steps`. */
export function quietCall(): Call & { readonly steps: string[] } {
  const steps: string[] = []
  return {
    signal: new AbortController().signal,
    progress: (step, detail = '') => steps.push(`${step} ${detail}`),
    steps,
  }
}

/** Starts a service that returns `address` as the caller's, like checkip.amazonaws.com. */
export async function startCheckIp(): Promise<
  AsyncDisposable & { readonly url: string; address: string }
> {
  const service = { address: '203.0.113.9' }
  const server = createServer((_request, response) => response.end(`${service.address}\n`))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(service, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
    },
  })
}

/** The creation of one host, with its record. */
export class AwsTrial {
  readonly name: MachineName
  readonly options: Readonly<Record<string, unknown>>
  readonly driver: ReturnType<typeof awsDriver>
  record: HostRecord
  userData = '#cloud-config\n'
  /**
   * Called before the nth record is stored, counted from 1. Throwing simulates a failure of the disk
   * or the process.
   */
  beforeRecord: (step: number) => void = () => {}

  constructor(
    checkIp: string,
    options: Readonly<Record<string, unknown>> = {},
    {
      name = 'web-1',
      token = crypto.randomUUID(),
      driver = awsDriver({ FLEET_CHECKIP_URL: checkIp }),
    } = {},
  ) {
    this.name = name as MachineName
    this.options = options
    this.driver = driver
    this.record = { phase: 'creating', token, resources: {} }
  }

  get tags() {
    const { token = '' } = this.record
    return {
      fleet: 'true',
      'fleet:id': '4f0c2f6e',
      'fleet:machine': this.name,
      'fleet:token': token,
    }
  }

  get lifecycle(): Lifecycle {
    return this.driver.lifecycle as Lifecycle
  }

  get power(): Power {
    return this.driver.power as Power
  }

  plan(call: Call = quietCall()): Promise<HostPlan> {
    const { token = '', resources = {}, id } = this.record
    const wish = { name: this.name, token, tags: this.tags, resources, id }
    return this.lifecycle.plan(wish, awsOptions.parse(this.options), call)
  }

  /** Plans and creates the host, and keeps in `record` the state that the driver records. */
  async make(call: Call = quietCall()): Promise<HostFacts> {
    const plan = await this.plan(call)
    this.record = { ...this.record, resources: mergeResources({}, plan.resources) }
    let step = 0
    const facts = await plan.make(
      {
        publicKey:
          'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtLmAyO9sFk8sVDPXnMXkW5NTmKvUyUQU1yDGVsd0nB',
        userData: new TextEncoder().encode(this.userData),
        record: async ({ id, resources }) => {
          this.beforeRecord(++step)
          this.record = {
            ...this.record,
            ...(id !== undefined && { id }),
            resources: { ...this.record.resources, ...resources },
          }
        },
      },
      call,
    )
    this.record = { ...this.record, ...facts, phase: 'ready' }
    return facts
  }

  remove(call: Call = quietCall()): Promise<void> {
    return this.lifecycle.remove(this.record, call)
  }

  async observe(): Promise<HostStatus | undefined> {
    return (await this.driver.observe(new Map([[this.name, this.record]]), quietCall())).get(
      this.name,
    )
  }
}

/** Resolves to the number of resources of each type. */
export async function countWorld(aws: Aws) {
  const { instances, groups, keyPairs, addresses, volumes } = await aws.world()
  return {
    instances: instances.length,
    groups: groups.length,
    keyPairs: keyPairs.length,
    addresses: addresses.length,
    volumes: volumes.length,
  }
}
