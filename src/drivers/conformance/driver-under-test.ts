import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DriverDefinition, HostPlan, BootstrapData } from '../driver.ts'

type Options = Readonly<Record<string, unknown>>

/** A resource that is created at the provider for hosts, such as a host, a disk, an address or a key. */
export interface ProviderResource {
  /** The resource's ID at the provider, which is never reused. */
  readonly id: string
  readonly tags: Readonly<Record<string, string>>
}

/** The data and functions that the suite needs to test a driver that creates hosts. */
export interface LifecycleUnderTest {
  /** Options to create hosts with, as in machines.yaml. */
  readonly options: Options
  /**
   * For a driver with `update`: options to change on a host that was created with `options`, none of which may require
   * a new host.
   */
  readonly changes?: Options
  /** Lists everything that exists at the provider, without using the driver. */
  listResources(): Promise<readonly ProviderResource[]>
  /** Returns the bootstrap data for a new host, if the suite's own public key and cloud-config are not suitable. */
  bootstrapData?(plan: HostPlan): Promise<Pick<BootstrapData, 'publicKey' | 'userData' | 'disk'>>
  /** How long a call may continue after being aborted, in milliseconds (default: 5,000). */
  readonly settleTime?: number
}

/** The driver to test, and the data that the suite needs to test it. */
export interface DriverUnderTest {
  readonly definition: DriverDefinition
  /** For a driver with `locate`: options of an existing host, and the expected result. */
  readonly existing?: { readonly options: Options; readonly facts: Options }
  /** For a driver with `lifecycle`. The suite creates and deletes hosts one after another. */
  readonly lifecycle?: LifecycleUnderTest
}

/** A rule of the contract. `run` rejects if the driver breaks it. Do not run cases concurrently. */
export interface ContractCase {
  readonly name: string
  readonly run: () => Promise<void>
}

/** The directory that the suite passes to the `load` method of drivers. */
export const driverFolder = join(tmpdir(), 'fleet-driver-contract')
