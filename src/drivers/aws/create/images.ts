import {
  DescribeImagesCommand,
  DescribeInstanceTypesCommand,
  type Image as Ec2Image,
} from '@aws-sdk/client-ec2'
import { UserError } from '../../../errors.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { isFailure } from '../api/errors.ts'
import { releases } from './image-names.ts'

/** An image to launch an instance from. */
export interface Image {
  readonly id: string
  readonly name: string
  readonly rootDevice: string
}

export type Architecture = 'x86_64' | 'arm64'

/** The properties of an instance type that the driver needs. */
export interface InstanceType {
  readonly architecture: Architecture
  /** Whether the type has CPU credits, in which case sustained load can cost extra. */
  readonly hasCredits: boolean
}

/** Returns an instance type. Throws kind `usage` if it does not exist or does not run Linux. */
export async function findType(ec2: Ec2, type: string): Promise<InstanceType> {
  const ask = new DescribeInstanceTypesCommand({ InstanceTypes: [type as never] })
  const { InstanceTypes: [found] = [] } = await ec2.sendCached(ask).catch((error: unknown) => {
    if (isFailure('InvalidInstanceType')(error)) return { InstanceTypes: [] }
    throw error
  })
  if (found === undefined) {
    throw new UserError('usage', `there is no instance type ${type} in ${ec2.region}`, {
      hint: 'choose another with --type, such as t3.small or t4g.small',
    })
  }
  const able: readonly string[] = found.ProcessorInfo?.SupportedArchitectures ?? []
  const hasCredits = found.BurstablePerformanceSupported ?? /^t\d/.test(type)
  if (able.includes('arm64')) return { architecture: 'arm64', hasCredits }
  if (able.includes('x86_64')) return { architecture: 'x86_64', hasCredits }
  throw new UserError(
    'usage',
    `instance type ${type} supports ${able.join(', ')}, but fleet requires x86_64 or arm64`,
  )
}

async function findImages(
  ec2: Ec2,
  wanted: string,
  arch: Architecture,
): Promise<readonly Ec2Image[]> {
  const release = releases[wanted]
  if (release === undefined) {
    const ask = new DescribeImagesCommand({ ImageIds: [wanted], IncludeDeprecated: true })
    return (await ec2.sendCached(ask)).Images ?? []
  }
  const name = release.name.replace('ARCH', arch === 'arm64' ? 'arm64' : 'amd64')
  const filters = { name, architecture: arch, state: 'available', 'root-device-type': 'ebs' }
  const ask = new DescribeImagesCommand({
    Owners: [release.owner],
    Filters: Object.entries(filters).map(([Name, value]) => ({ Name, Values: [value] })),
  })
  return (await ec2.sendCached(ask)).Images ?? []
}

/** Returns the image with the latest creation date. */
const newest = (images: readonly Ec2Image[]): Ec2Image | undefined =>
  images.toSorted((a, b) => (a.CreationDate ?? '').localeCompare(b.CreationDate ?? '')).at(-1)

/** Returns the minimum size of an image's root disk, in GiB. */
const sizeOf = ({ RootDeviceName, BlockDeviceMappings = [] }: Ec2Image): number =>
  BlockDeviceMappings.find(({ DeviceName }) => DeviceName === RootDeviceName)?.Ebs?.VolumeSize ?? 0

/**
 * Finds an image by the name of a release or by its ID. Throws kind `usage` if the image does not exist, is for another
 * architecture or does not fit on the disk.
 */
export async function findImage(
  ec2: Ec2,
  wanted: { readonly image: string; readonly type: string; readonly disk: number },
  arch: Architecture,
): Promise<Image> {
  const found = newest(await findImages(ec2, wanted.image, arch))
  const { ImageId: id, RootDeviceName: rootDevice } = found ?? {}
  if (found === undefined || id === undefined || rootDevice === undefined) {
    throw new UserError('usage', `there is no image ${wanted.image} for ${arch} in ${ec2.region}`, {
      hint: 'choose an image in this region with --image ami-…',
    })
  }
  const refuse = (why: string, hint: string) => {
    throw new UserError('usage', `image ${wanted.image} ${why}`, { hint })
  }
  if (found.Architecture !== arch) {
    const { Architecture: its = 'unknown' } = found
    refuse(
      `is for ${its}, but ${wanted.type} is ${arch}`,
      `use an image for ${arch}, or a --type for ${its} (t3.small: x86_64; t4g.small: arm64)`,
    )
  }
  if (found.Platform?.toLowerCase() === 'windows') refuse('is a Windows image', 'use a Linux image')
  if (found.RootDeviceType !== 'ebs')
    refuse('has no EBS root disk', 'use an image with an EBS root disk')
  if (found.State !== undefined && found.State !== 'available') {
    refuse(`is ${found.State}`, 'use another image')
  }
  const size = sizeOf(found)
  if (size > wanted.disk) refuse(`requires a disk of at least ${size} GiB`, `use --disk ${size}`)
  return { id, name: found.Name ?? id, rootDevice }
}
