import { UserError } from '../../../errors.ts'
import type { Call, HostSpec, DriverState } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import type { GetCallerAddress } from '../../net/caller-address.ts'
import { hostBitsNotes, parseCidrs } from '../../net/cidrs.ts'
import type { AzureOptions } from '../options.ts'
import { recordOptions } from '../machine/compare.ts'
import { findBastion, recordBastion } from '../network/bastion.ts'
import { sharedNetworkOf } from '../network/shared-network.ts'
import {
  type HostLocation,
  type ResourceRef,
  parseResourceId,
  recordLocation,
} from './host-location.ts'
import { type Image, findImage } from './images.ts'
import { allSettled } from '../api/retry.ts'
import { checkGroup, findSubnet, subnetWarnings } from './placement.ts'
import { type PortRange, parsePorts } from '../../net/ports.ts'
import { checkSubscription } from '../api/providers.ts'
import { checkQuota } from './quota.ts'
import { type Size, findSize } from './sizes.ts'
import type { Tags } from '../../tag-list.ts'
import { parseTags } from '../tags.ts'

/** All decisions about a host, made before anything is created. */
export interface Decision {
  /** Token from which the names of the host's resources are derived. */
  readonly token: string
  /** Whether this is the first attempt, in which case nothing can exist yet. */
  readonly isFirst: boolean
  /** Descriptions of the parts that could not be checked because the login lacks permission. */
  readonly unchecked: readonly string[]
  /** Warnings to show to the user before the host is created. */
  readonly warnings: readonly string[]
  readonly host: HostLocation
  /** The shared network of an earlier attempt, if this attempt uses another one. */
  readonly previousNetwork: ResourceRef | undefined
  readonly hostName: string
  readonly location: string
  readonly size: Size
  readonly image: Image
  /** ID of the user's own subnet. */
  readonly subnet: string | undefined
  /** ID of the Bastion that SSH connections use. */
  readonly bastion: string | undefined
  readonly sshCidrs: readonly string[]
  readonly ports: readonly PortRange[]
  readonly tags: Tags
  readonly options: AzureOptions
}

/**
 * Chooses the address ranges that can reach SSH: those in the option, those of an earlier attempt, or this computer's
 * address. Returns none for a host without a public address or with a Bastion, because such a host is reachable only
 * from its virtual network.
 */
async function chooseSshCidrs(
  { sshCidr, privateOnly, reach }: AzureOptions,
  decided: string | undefined,
  getCallerAddress: GetCallerAddress,
  call: Call,
): Promise<readonly string[]> {
  const explicit = sshCidr ?? decided
  if (explicit !== undefined) return parseCidrs(explicit) ?? []
  if (privateOnly || reach === 'bastion') return []
  const { address } = await getCallerAddress(4, call)
  return parseCidrs(address) ?? []
}

/**
 * Returns the image version that an earlier attempt chose, if the image and size are the same: the
 * newest version may have changed.
 */
const recordedImage = (earlier: DriverState, { image, size }: AzureOptions): string =>
  (earlier['release'] === image && earlier['size']?.toLowerCase() === size.toLowerCase()
    ? earlier['image']
    : undefined) ?? image

/** Throws kind `usage` if the size does not support an option. */
function checkCapabilities(size: Size, options: AzureOptions): void {
  const { diskType, securityType, encryptionAtHost } = options
  const missing: readonly (readonly [boolean, string, string])[] = [
    [diskType.startsWith('Premium') && !size.premiumDisks, 'premium disks', 'another --disk-type'],
    [
      securityType === 'TrustedLaunch' && !size.trustedLaunch,
      'Trusted Launch',
      'another --security-type',
    ],
    [
      encryptionAtHost === true && !size.encryptionAtHost,
      'encryption at host',
      '--no-encryption-at-host',
    ],
  ]
  for (const [isMissing, what, instead] of missing) {
    if (!isMissing) continue
    throw new UserError('usage', `size ${size.name} does not support ${what}`, {
      hint: `use ${instead}, or another --size`,
    })
  }
}

/**
 * Chooses the network that the host shares with other hosts of the inventory. Returns `undefined` for a host in the
 * user's own subnet, and for a host whose creation an older version of fleet started with a separate network.
 */
function chooseNetwork(
  { tags, resources: earlier }: HostSpec,
  { subnet, resourceGroup }: AzureOptions,
  location: string,
): ResourceRef | undefined {
  const fleet = tags['fleet:id']
  const hasOwn =
    earlier['location'] !== undefined &&
    earlier['network'] === undefined &&
    earlier['subnet'] === undefined
  if (subnet !== undefined || fleet === undefined || hasOwn) return undefined
  return sharedNetworkOf(fleet, location, resourceGroup)
}

/**
 * Checks the options against Azure and the subscription, and makes the remaining decisions. Called only while no
 * virtual machine exists, so everything except the account, resource group and names can be decided again. Throws kind
 * `usage`.
 */
export async function decide(
  api: AzureApi,
  host: HostLocation,
  spec: HostSpec,
  options: AzureOptions,
  getCallerAddress: GetCallerAddress,
  call: Call,
): Promise<Decision> {
  const { resources: earlier } = spec
  const [{ value: location, ...where }, sshCidrs] = await allSettled([
    checkSubscription(api, options.location, options.registerProviders, call),
    chooseSshCidrs(options, earlier['sshCidr'], getCallerAddress, call),
    host.ownGroup ? undefined : checkGroup(api, host.group, call),
  ])
  const [{ value: size, ...whichSize }, subnet] = await allSettled([
    findSize(api, { ...options, location }, call),
    options.subnet === undefined
      ? undefined
      : findSubnet(api, options.subnet, options.resourceGroup, location, call),
  ])
  checkCapabilities(size, options)
  // The usage of the quotas already includes an earlier attempt's resources.
  const isFirst = earlier['location'] === undefined
  const publicAddress = !options.privateOnly && isFirst
  const demand = { location, size, spot: options.spot, publicAddress }
  const [{ value: image, ...whichImage }, quotas] = await allSettled([
    findImage(api, location, recordedImage(earlier, options), size, call),
    checkQuota(api, demand, call),
  ])
  const bastion =
    options.reach === 'bastion' && subnet !== undefined
      ? await findBastion(api, options.bastion, subnet.id, call)
      : undefined
  const warnings = subnet ? await subnetWarnings(api, subnet, sshCidrs, call) : []
  const checks = [where, whichSize, whichImage, quotas]
  const network = chooseNetwork(spec, options, location)
  const isSameNetwork =
    network?.group === host.network?.group && network?.name === host.network?.name
  return {
    token: spec.token,
    unchecked: checks.flatMap(({ unchecked }) => unchecked ?? []),
    isFirst,
    host: { ...host, network },
    previousNetwork: isSameNetwork ? undefined : host.network,
    hostName: spec.name.replaceAll('.', '-'),
    location,
    size,
    image,
    subnet: subnet?.id,
    bastion,
    warnings,
    sshCidrs,
    ports: parsePorts(options.ports ?? '') ?? [],
    tags: { ...parseTags(options.tags ?? ''), ...spec.tags },
    options,
  }
}

/** Describes the decisions for the user. */
export function describeDecision({
  unchecked,
  warnings,
  host,
  location,
  size,
  image,
  sshCidrs,
  ports,
  bastion,
  options,
}: Decision): string[] {
  const from = sshCidrs.length > 0 ? sshCidrs.join(', ') : 'the virtual network'
  const open = ports.map(
    ({ from, to, protocol }) => `${from === to ? from : `${from}-${to}`}/${protocol}`,
  )
  return [
    `size ${size.name} (vCPUs: ${size.cores ?? '?'}, memory: ${size.memoryGb} GiB, ${size.architecture}${options.spot ? ', spot' : ''})`,
    `image ${image.name}`,
    `${location}${options.zone === undefined ? '' : `, zone ${options.zone}`}, subscription ${host.account.subscription}`,
    `resource group ${host.group}${host.ownGroup ? ' (new)' : ' (existing)'}`,
    ...(host.network === undefined
      ? []
      : [`virtual network ${host.network.name}, shared by this inventory's hosts in ${location}`]),
    `SSH is open to ${from}${open.length > 0 ? `; ports open to everyone: ${open.join(', ')}` : ''}`,
    ...(bastion === undefined ? [] : [`SSH uses the Bastion ${parseResourceId(bastion).name}`]),
    ...hostBitsNotes(options.sshCidr ?? ''),
    ...warnings,
    ...(unchecked.length > 0
      ? [
          `could not check ${unchecked.join(', ')}: your login lacks read permission for the subscription`,
        ]
      : []),
  ]
}

/** Returns the decisions to record, so that all attempts create the same host. */
export const recordDecision = (decision: Decision): DriverState => ({
  ...recordLocation(decision.host),
  ...recordOptions(decision.options),
  location: decision.location,
  size: decision.size.name,
  image: decision.image.name,
  ...(decision.sshCidrs.length > 0 && { sshCidr: decision.sshCidrs.join(',') }),
  ...(decision.subnet !== undefined && { subnet: decision.subnet }),
  ...recordBastion(decision.bastion),
})
