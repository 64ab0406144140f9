import type { ResourceSku } from '@azure/arm-compute'
import { UserError } from '../../../errors.ts'
import { nearest } from '../../../machine/nearest-name.ts'
import type { Call } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { type Checked, ignoreForbidden } from '../api/sdk-errors.ts'

/** A virtual machine size in a location. */
export interface Size {
  readonly name: string
  readonly architecture: 'x64' | 'Arm64'
  /** Supported firmware generations: `V1`, `V2`. */
  readonly generations: readonly string[]
  /** Number of vCPUs, if known. */
  readonly cores: number | undefined
  readonly memoryGb: string
  /** Name of the quota that the size counts against. */
  readonly family: string
  readonly acceleratedNetworking: boolean
  readonly premiumDisks: boolean
  readonly trustedLaunch: boolean
  readonly encryptionAtHost: boolean
}

/** The size to find. */
export interface SizeRequest {
  readonly location: string
  readonly size: string
  readonly zone?: string | undefined
  readonly spot: boolean
}

const capabilityOf = (sku: ResourceSku, name: string): string | undefined =>
  sku.capabilities?.find((capability) => capability.name === name)?.value

const otherSize =
  'choose another --size, --zone or --location; to list the sizes: az vm list-skus --resource-type virtualMachines --location '

function checkOffer(sku: ResourceSku, { location, size, zone, spot }: SizeRequest): void {
  const refuse = (why: string) => {
    throw new UserError('usage', `size ${size} ${why}`, { hint: `${otherSize}${location}` })
  }
  const restrictions = sku.restrictions ?? []
  const whole = restrictions.find(({ type }) => type === 'Location')
  if (whole !== undefined) {
    const why = whole.reasonCode === 'QuotaId' ? " because of the subscription's offer type" : ''
    refuse(`is not available to the subscription in ${location}${why}`)
  }
  if (zone !== undefined) {
    const zones = sku.locationInfo?.flatMap((info) => info.zones ?? []) ?? []
    const closed = new Set(
      restrictions.flatMap(({ restrictionInfo }) => restrictionInfo?.zones ?? []),
    )
    const open = zones.filter((one) => !closed.has(one)).sort()
    if (!open.includes(zone)) {
      refuse(
        `is not available in zone ${zone} of ${location} (available zones: ${open.length > 0 ? open.join(', ') : 'none'})`,
      )
    }
  }
  if (spot && capabilityOf(sku, 'LowPriorityCapable') === 'False')
    refuse('is not available as a spot virtual machine')
}

function describe(sku: ResourceSku, name: string): Size {
  const capability = (key: string) => capabilityOf(sku, key)
  return {
    name,
    architecture: capability('CpuArchitectureType') === 'Arm64' ? 'Arm64' : 'x64',
    generations: (capability('HyperVGenerations') ?? 'V1').split(','),
    cores: Number(capability('vCPUsAvailable') ?? capability('vCPUs') ?? 1),
    memoryGb: capability('MemoryGB') ?? '?',
    family: sku.family ?? '',
    acceleratedNetworking: capability('AcceleratedNetworkingEnabled') === 'True',
    premiumDisks: capability('PremiumIO') !== 'False',
    // Generation 2 sizes support Trusted Launch (https://learn.microsoft.com/azure/virtual-machines/trusted-launch,
    // "Virtual machines sizes").
    trustedLaunch:
      (capability('HyperVGenerations') ?? 'V1').includes('V2') &&
      capability('TrustedLaunchDisabled') !== 'True',
    encryptionAtHost: capability('EncryptionAtHostSupported') === 'True',
  }
}

/** Lists all sizes in a location. */
async function listSizes(
  { compute, cached }: AzureApi,
  location: string,
  { signal: abortSignal }: Call,
): Promise<readonly ResourceSku[]> {
  const filter = `location eq '${location}'`
  return cached(`sizes ${location}`, async () => {
    const sizes: ResourceSku[] = []
    for await (const sku of compute.resourceSkus.list({ filter, abortSignal })) {
      if (sku.resourceType === 'virtualMachines') sizes.push(sku)
    }
    return sizes
  })
}

/**
 * Whether a size has an Arm processor: its name then has a `p` among the features
 * (https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions).
 */
const isArm = (size: string): boolean =>
  /^[A-Z]+_[A-Z]+[0-9]+(?:-[0-9]+)?[a-z]*p[a-z]*(?:_|$)/i.test(size)

/** Returns the properties that a size's name reveals, with assumptions about the other properties. */
const sizeByName = (name: string): Size => ({
  name,
  architecture: isArm(name) ? 'Arm64' : 'x64',
  generations: ['V1', 'V2'],
  cores: undefined,
  memoryGb: '?',
  family: '',
  acceleratedNetworking: false,
  premiumDisks: true,
  trustedLaunch: true,
  encryptionAtHost: true,
})

/**
 * Finds a size, and checks that the subscription can use it in the location. If the login lacks permission to read
 * sizes, returns what the size's name reveals. Throws kind `usage`.
 */
export async function findSize(
  api: AzureApi,
  request: SizeRequest,
  call: Call,
): Promise<Checked<Size>> {
  const { location, size } = request
  const all = await ignoreForbidden(listSizes(api, location, call))
  if (all === undefined) return { value: sizeByName(size), unchecked: 'the size' }
  const names = all.flatMap(({ name }) => name ?? [])
  const found = all.find(({ name }) => name?.toLowerCase() === size.toLowerCase())
  if (found?.name !== undefined) {
    checkOffer(found, request)
    return { value: describe(found, found.name) }
  }
  const near = nearest(size, names)
  throw new UserError('usage', `there is no size ${size} in ${location}`, {
    hint: near === undefined ? `${otherSize}${location}` : `did you mean ${near}?`,
  })
}
