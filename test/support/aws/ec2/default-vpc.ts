import type { Moto } from '../moto/moto.ts'
import { itemsOf, textOf } from '../http/xml.ts'

async function removeDefaultVpc(moto: Moto, region: string): Promise<void> {
  const subnets = await moto.ec2(region, { Action: 'DescribeSubnets' })
  for (const subnet of itemsOf(subnets, 'subnetSet'))
    if (textOf(subnet, 'defaultForAz') === 'true')
      await moto.ec2(region, { Action: 'DeleteSubnet', SubnetId: textOf(subnet, 'subnetId') ?? '' })
  const vpcs = await moto.ec2(region, { Action: 'DescribeVpcs' })
  for (const vpc of itemsOf(vpcs, 'vpcSet'))
    if (textOf(vpc, 'isDefault') === 'true')
      await moto.ec2(region, { Action: 'DeleteVpc', VpcId: textOf(vpc, 'vpcId') ?? '' })
}

/** Deletes the default VPC of each region before the first call to the region. Only a reset restores it. */
export class MissingDefaultVpcs {
  readonly #removed = new Map<string, Promise<void>>()
  readonly #moto: Moto

  constructor(moto: Moto) {
    this.#moto = moto
  }

  async remove(region: string): Promise<void> {
    const removing = this.#removed.get(region) ?? removeDefaultVpc(this.#moto, region)
    this.#removed.set(region, removing)
    await removing
  }

  clear(): void {
    this.#removed.clear()
  }
}
