import { type Answer, Refusal, type Request } from './exchange.ts'
import { page } from './pages.ts'

/** A virtual machine size, with only those properties that fleet uses. */
interface SizeFacts {
  readonly name: string
  readonly family: string
  readonly cores: number
  readonly memoryGb: number
  readonly architecture?: string
  readonly generations?: string
  readonly zones?: readonly string[]
  readonly closedZones?: readonly string[]
  readonly restricted?: boolean
  readonly premium?: boolean
  readonly trustedLaunch?: boolean
}

export const sizes: readonly SizeFacts[] = [
  { name: 'Standard_B2als_v2', family: 'standardBasv2Family', cores: 2, memoryGb: 4 },
  {
    name: 'Standard_D2s_v5',
    family: 'standardDSv5Family',
    cores: 2,
    memoryGb: 8,
    closedZones: ['3'],
  },
  {
    name: 'Standard_B2pls_v2',
    family: 'standardBpsv2Family',
    cores: 2,
    memoryGb: 4,
    architecture: 'Arm64',
    generations: 'V2',
  },
  {
    name: 'Standard_A1_v2',
    family: 'standardAv2Family',
    cores: 1,
    memoryGb: 2,
    generations: 'V1',
    premium: false,
  },
  { name: 'Standard_NC24', family: 'standardNCFamily', cores: 24, memoryGb: 224, restricted: true },
  {
    name: 'Standard_M8ms',
    family: 'standardMSFamily',
    cores: 8,
    memoryGb: 219,
    trustedLaunch: false,
  },
  { name: 'Standard_D64s_v5', family: 'standardDSv5Family', cores: 64, memoryGb: 256 },
]

/** Locations with sizes and images. */
const locations: ReadonlySet<string> = new Set(['westeurope', 'northeurope'])

function skuOf(facts: SizeFacts, location: string) {
  const { name, family, cores, memoryGb, architecture = 'x64', generations = 'V1,V2' } = facts
  const zones = facts.zones ?? ['1', '2', '3']
  const info = (closed: readonly string[]) => ({ locations: [location], zones: closed })
  const capabilities = {
    vCPUs: cores,
    MemoryGB: memoryGb,
    CpuArchitectureType: architecture,
    HyperVGenerations: generations,
    PremiumIO: facts.premium === false ? 'False' : 'True',
    AcceleratedNetworkingEnabled: generations === 'V1' ? 'False' : 'True',
    EncryptionAtHostSupported: generations === 'V1' ? 'False' : 'True',
    ...(facts.trustedLaunch === false && { TrustedLaunchDisabled: 'True' }),
    LowPriorityCapable: generations === 'V1' ? 'False' : 'True',
  }
  const restrictions = [
    ...(facts.restricted
      ? [
          {
            type: 'Location',
            values: [location],
            restrictionInfo: { locations: [location] },
            reasonCode: 'NotAvailableForSubscription',
          },
        ]
      : []),
    ...(facts.closedZones
      ? [
          {
            type: 'Zone',
            values: [location],
            restrictionInfo: info(facts.closedZones),
            reasonCode: 'NotAvailableForSubscription',
          },
        ]
      : []),
  ]
  return {
    resourceType: 'virtualMachines',
    name,
    tier: 'Standard',
    size: name.replace('Standard_', ''),
    family,
    locations: [location],
    locationInfo: [{ location, zones }],
    capabilities: Object.entries(capabilities).map(([key, value]) => ({
      name: key,
      value: String(value),
    })),
    restrictions,
  }
}

interface ImageFacts {
  readonly versions: readonly string[]
  readonly architecture: string
  readonly generation: string
}

const image = (architecture: string, generation: string, ...versions: string[]): ImageFacts => ({
  architecture,
  generation,
  versions,
})

/** Images, keyed by publisher/offer/sku. */
const images: Readonly<Record<string, ImageFacts>> = {
  'debian/debian-13/13-gen2': image('x64', 'V2', '0.20260801.2200', '0.20261101.2300'),
  'debian/debian-13/13': image('x64', 'V1', '0.20261101.2300'),
  'debian/debian-13/13-arm64': image('Arm64', 'V2', '0.20261101.2300'),
  'canonical/ubuntu-24_04-lts/server': image('x64', 'V2', '24.04.202510010', '24.04.202611010'),
  'canonical/ubuntu-24_04-lts/server-arm64': image('Arm64', 'V2', '24.04.202611010'),
}

function answerImages(path: string, request: Request): Answer | undefined {
  const [, location, publisher, offer, sku, version] =
    /\/locations\/([^/]+)\/publishers\/([^/]+)\/artifacttypes\/vmimage\/offers\/([^/]+)\/skus\/([^/]+)\/versions(?:\/([^/]+))?$/i.exec(
      path,
    ) ?? []
  if (publisher === undefined) return undefined
  const facts = images[`${publisher}/${offer}/${sku}`.toLowerCase()]
  const missing = () =>
    new Refusal(404, 'NotFound', `Artifact ${publisher}/${offer}/${sku} not found.`)
  if (facts === undefined) throw missing()
  const id = (name: string) => `${path.replace(/\/versions.*/, '')}/Versions/${name}`
  if (version === undefined) {
    const newest = facts.versions.toSorted().toReversed()
    const top = Number(request.query.get('$top') ?? newest.length)
    const value = newest.slice(0, top).map((name) => ({ name, location, id: id(name) }))
    return { status: 200, body: value }
  }
  if (!facts.versions.includes(version)) throw missing()
  const properties = {
    osDiskImage: { operatingSystem: 'Linux', sizeInGb: 30 },
    dataDiskImages: [],
    hyperVGeneration: facts.generation,
    architecture: facts.architecture,
  }
  return { status: 200, body: { name: version, location, id: id(version), properties } }
}

/** Usage and limit of each quota. */
export type Quotas = Readonly<Record<string, readonly [number, number]>>

const usages = (quotas: Quotas) =>
  Object.entries(quotas).map(([value, [currentValue, limit]]) => ({
    unit: 'Count',
    currentValue,
    limit,
    name: { value, localizedValue: value },
  }))

export interface CatalogueContext {
  readonly subscription: string
  readonly quotas: Quotas
  /** State of each provider namespace: `Registered`, `NotRegistered` or `Registering`. */
  readonly registrations: Map<string, string>
  readonly pageSize: number
}

function answerProvider(
  { subscription, registrations }: CatalogueContext,
  { method }: Request,
  path: string,
): Answer | undefined {
  const [, namespace = '', verb] = /^\/providers\/([^/]+)(\/register)?$/i.exec(path) ?? []
  const state = registrations.get(namespace)
  if (state === undefined) return undefined
  if (method === 'POST' && verb !== undefined) registrations.set(namespace, 'Registering')
  else if (method !== 'GET') return undefined
  else if (state === 'Registering') registrations.set(namespace, 'Registered')
  const resourceTypes =
    namespace === 'Microsoft.Compute'
      ? [
          {
            resourceType: 'virtualMachines',
            locations: ['West Europe', 'North Europe', 'East US 2'],
            apiVersions: ['2026-03-01'],
          },
        ]
      : [
          {
            resourceType: 'networkInterfaces',
            locations: ['West Europe'],
            apiVersions: ['2025-05-01'],
          },
        ]
  return {
    status: 200,
    body: {
      id: `/subscriptions/${subscription}/providers/${namespace}`,
      namespace,
      registrationPolicy: 'RegistrationRequired',
      resourceTypes,
      registrationState: registrations.get(namespace),
    },
  }
}

/**
 * Answers requests for providers, sizes, images and quotas. `path` is the part after the
 * subscription.
 */
export function answerCatalogue(
  context: CatalogueContext,
  request: Request,
  path: string,
): Answer | undefined {
  const { quotas, pageSize } = context
  const provider = answerProvider(context, request, path)
  if (provider !== undefined || request.method !== 'GET') return provider
  if (/^\/providers\/Microsoft\.Compute\/skus$/i.test(path)) {
    const location = /^location eq '(.*)'$/.exec(request.query.get('$filter') ?? '')?.[1] ?? ''
    const here = locations.has(location) ? sizes.map((one) => skuOf(one, location)) : []
    return page(request, here, pageSize)
  }
  if (/^\/providers\/Microsoft\.(?:Compute|Network)\/locations\/[^/]+\/usages$/i.test(path)) {
    return page(request, usages(quotas), 1000)
  }
  return answerImages(path, request)
}
