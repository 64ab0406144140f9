import type { Hidden } from './hidden.ts'
import type { HostSource } from '../hosts/hosts.ts'
import type { Instance } from './instance.ts'
import type { Moto } from '../moto/moto.ts'
import type { Parameters } from '../http/query.ts'
import type { Settings } from './settings.ts'
import type { Tree } from '../http/xml.ts'

/** State of the account that moto does not have. */
export interface Account {
  readonly moto: Moto
  readonly hosts: HostSource
  readonly settings: () => Settings
  readonly hidden: Hidden
  readonly instances: Map<string, Instance>
  /** Public keys, in OpenSSH's format, keyed by key pair name. */
  readonly publicKeys: Map<string, string>
  /** Elastic addresses, keyed by allocation ID. */
  readonly elastic: Map<string, string>
  readonly onFailure: (error: unknown) => void
}

/** An EC2 call that has been admitted. */
export interface Ec2Call {
  readonly region: string
  readonly parameters: Parameters
}

/** Handles the calls of one action. Throws an Ec2Error to reject a call. */
export type Handler = (account: Account, call: Ec2Call) => Promise<Tree>
