import { Ec2Error } from '../http/ec2-error.ts'
import type { Parameters } from '../http/query.ts'

/** Resource types that are not visible immediately after their creation, and their errors. */
const refusals = {
  instance: (id: string) =>
    new Ec2Error('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`),
  group: (id: string) =>
    new Ec2Error('InvalidGroup.NotFound', `The security group '${id}' does not exist`),
  key: (id: string) =>
    new Ec2Error('InvalidKeyPair.NotFound', `The key pair '${id}' does not exist`),
  address: (id: string) =>
    new Ec2Error('InvalidAllocationID.NotFound', `The allocation ID '${id}' does not exist`),
}

/** Parameters that contain resource IDs. */
const naming =
  /^(?:InstanceId|GroupId|GroupName|SecurityGroupId|KeyName|KeyPairId|AllocationId|ResourceId)(?:\.\d+)?$|\.SecurityGroupId\.\d+$/

/** Resources that are not visible yet (EC2 is eventually consistent). */
export class Hidden {
  readonly #until = new Map<string, { readonly kind: keyof typeof refusals; readonly at: number }>()

  hide(kind: keyof typeof refusals, id: string, milliseconds: number): void {
    if (milliseconds > 0) this.#until.set(id, { kind, at: performance.now() + milliseconds })
  }

  has(id: string | undefined): boolean {
    const entry = id === undefined ? undefined : this.#until.get(id)
    return entry !== undefined && performance.now() < entry.at
  }

  /** Throws `…NotFound` if a call refers to a hidden resource, unless the call creates the resource again. */
  check(action: string, parameters: Parameters): void {
    if (action === 'ImportKeyPair' || action === 'CreateSecurityGroup') return
    for (const [name, value] of Object.entries(parameters)) {
      const entry = naming.test(name) && this.has(value) ? this.#until.get(value) : undefined
      if (entry) throw refusals[entry.kind](value)
    }
  }

  clear(): void {
    this.#until.clear()
  }
}
