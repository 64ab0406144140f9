import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DriverDefinition, HostPlan, BootstrapData } from '../driver.ts'

type Options = Readonly<Record<string, unknown>>

/** Something at the provider that is made for hosts: a host, a disk, an address, a key. */
export interface ProviderThing {
  /** The provider's name for it, never given twice. */
  readonly id: string
  readonly tags: Readonly<Record<string, string>>
}

/** What the suite needs of a driver that makes hosts. */
export interface LifecycleSubject {
  /** Options to make hosts with, as machines.yaml has them. */
  readonly options: Options
  /** Of a driver that has `reshape`: options that a host which was made with `options` can be changed to, none by another host. */
  readonly changes?: Options
  /** All that there is at the provider, whoever made it, asked for without the driver. */
  look(): Promise<readonly ProviderThing[]>
  /** What a new host starts with, where the suite's own public key and cloud-config do not do. */
  seed?(plan: HostPlan): Promise<Pick<BootstrapData, 'publicKey' | 'userData' | 'disk'>>
  /** How long a call may go on after it was aborted, in milliseconds; 5,000 unless told. */
  readonly settleTime?: number
}

/** A driver, and what its part of the suite needs. */
export interface DriverSubject {
  readonly definition: DriverDefinition
  /** For a driver that has `locate`: options of a host that exists, and the host that they lead to. */
  readonly existing?: { readonly options: Options; readonly facts: Options }
  /** For a driver that has `lifecycle`. Hosts are made and removed, one after another. */
  readonly lifecycle?: LifecycleSubject
}

/** One promise of the contract. `run` rejects when it is not kept. Not to be run beside others. */
export interface ContractCase {
  readonly name: string
  readonly run: () => Promise<void>
}

/** What a driver is loaded with, as its folder for what it keeps. */
export const driverFolder = join(tmpdir(), 'fleet-driver-contract')
