import { UserError } from '../../../errors.ts'
import type { Call, HostSpec, DriverState } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import type { AskCaller } from '../../net/caller-address.ts'
import { noteOnHostBits, parseCidrs } from '../../net/cidrs.ts'
import type { AzureOptions } from '../options.ts'
import { recordWishes } from '../machine/compare.ts'
import { type Place, recordPlace } from './host-resources.ts'
import { type Image, findImage } from './images.ts'
import { allSettled } from '../api/timeouts.ts'
import { checkGroup, findSubnet, noteOnSubnet } from './placement.ts'
import { type PortRange, parsePorts } from '../../net/ports.ts'
import { checkSubscription } from '../api/providers.ts'
import { checkQuota } from './quota.ts'
import { type Size, findSize } from './sizes.ts'
import type { Tags } from '../../tag-list.ts'
import { parseTags } from '../tags.ts'

/** All that is decided about a host before anything of it is made. */
export interface Decision {
  /** The creation's. */
  readonly token: string
  /** No earlier attempt can have made anything. */
  readonly isFirst: boolean
  /** What the login may not look at. */
  readonly unchecked: readonly string[]
  /** What the person should know beforehand. */
  readonly warnings: readonly string[]
  readonly place: Place
  readonly hostName: string
  readonly location: string
  readonly size: Size
  readonly image: Image
  /** The id of a subnet of yours. */
  readonly subnet: string | undefined
  readonly sshCidrs: readonly string[]
  readonly ports: readonly PortRange[]
  readonly tags: Tags
  readonly options: AzureOptions
}

/** Who may connect by SSH: as said, or as decided before, or this computer. A private host: its network. */
async function chooseSshCidrs(
  { sshCidr, privateOnly }: AzureOptions,
  decided: string | undefined,
  askCaller: AskCaller,
  call: Call,
): Promise<readonly string[]> {
  const told = sshCidr ?? decided
  if (told !== undefined) return parseCidrs(told) ?? []
  if (privateOnly) return []
  const { address } = await askCaller(4, call)
  return parseCidrs(address) ?? []
}

/** The version of an image that an earlier attempt chose, where the same is wanted for the same size: the newest may be another one by now. */
const chosenImage = (earlier: DriverState, { image, size }: AzureOptions): string =>
  (earlier['release'] === image && earlier['size']?.toLowerCase() === size.toLowerCase()
    ? earlier['image']
    : undefined) ?? image

/** Throws kind `usage` for what a size does not support. */
function checkAbilities(size: Size, options: AzureOptions): void {
  const { diskType, securityType, encryptionAtHost } = options
  const missing: readonly (readonly [boolean, string, string])[] = [
    [diskType.startsWith('Premium') && !size.premiumDisks, 'premium disks', '--disk-type'],
    [securityType === 'TrustedLaunch' && !size.trustedLaunch, 'Trusted Launch', '--security-type'],
    [
      encryptionAtHost === true && !size.encryptionAtHost,
      'encryption at host',
      '--no-encryption-at-host',
    ],
  ]
  for (const [isMissing, what, flag] of missing) {
    if (!isMissing) continue
    throw new UserError('usage', `size ${size.name} does not support ${what}`, {
      hint: `choose another ${flag} or --size`,
    })
  }
}

/**
 * Checks a host's options against what Azure has and the subscription may, and decides what was left open. Called only while there is no
 * virtual machine: so all but the place can be decided anew. Throws kind `usage`.
 */
export async function decide(
  api: AzureApi,
  place: Place,
  wish: HostSpec,
  options: AzureOptions,
  askCaller: AskCaller,
  call: Call,
): Promise<Decision> {
  const { resources: earlier } = wish
  const [{ value: location, ...where }, sshCidrs] = await allSettled([
    checkSubscription(api, options.location, options.registerProviders, call),
    chooseSshCidrs(options, earlier['sshCidr'], askCaller, call),
    place.ownGroup ? undefined : checkGroup(api, place.group, call),
  ])
  const [{ value: size, ...whichSize }, subnet] = await allSettled([
    findSize(api, { ...options, location }, call),
    options.subnet === undefined
      ? undefined
      : findSubnet(api, options.subnet, options.resourceGroup, location, call),
  ])
  checkAbilities(size, options)
  // What an earlier attempt made is counted already.
  const isFirst = earlier['location'] === undefined
  const publicAddress = !options.privateOnly && isFirst
  const demand = { location, size, spot: options.spot, publicAddress }
  const [{ value: image, ...whichImage }, quotas] = await allSettled([
    findImage(api, location, chosenImage(earlier, options), size, call),
    checkQuota(api, demand, call),
  ])
  const warnings = subnet ? await noteOnSubnet(api, subnet, sshCidrs, call) : []
  const checks = [where, whichSize, whichImage, quotas]
  return {
    token: wish.token,
    unchecked: checks.flatMap(({ unchecked }) => unchecked ?? []),
    isFirst,
    place,
    hostName: wish.name.replaceAll('.', '-'),
    location,
    size,
    image,
    subnet: subnet?.id,
    warnings,
    sshCidrs,
    ports: parsePorts(options.ports ?? '') ?? [],
    tags: { ...parseTags(options.tags ?? ''), ...wish.tags },
    options,
  }
}

/** What was decided, for the person. */
export function describeDecision({
  unchecked,
  warnings,
  place,
  location,
  size,
  image,
  sshCidrs,
  ports,
  options,
}: Decision): string[] {
  const from = sshCidrs.length > 0 ? sshCidrs.join(', ') : 'its network'
  const open = ports.map(
    ({ from, to, protocol }) => `${from === to ? from : `${from}-${to}`}/${protocol}`,
  )
  return [
    `size ${size.name}: ${size.cores ?? '?'} cores, ${size.memoryGb} GiB, ${size.architecture}${options.spot ? ', spot' : ''}`,
    `image ${image.name}`,
    `${location}${options.zone === undefined ? '' : `, zone ${options.zone}`}, subscription ${place.account.subscription}`,
    `resource group ${place.group}${place.ownGroup ? ', new' : ', existing'}`,
    `SSH from ${from}${open.length > 0 ? `; open to everyone: ${open.join(', ')}` : ''}`,
    ...noteOnHostBits(options.sshCidr ?? ''),
    ...warnings,
    ...(unchecked.length > 0
      ? [
          `not checked, because the login cannot read it in the subscription: ${unchecked.join(', ')}`,
        ]
      : []),
  ]
}

/** What was decided, for the record, so that all attempts ask for the same. */
export const recordDecision = (decision: Decision): DriverState => ({
  ...recordPlace(decision.place),
  ...recordWishes(decision.options),
  location: decision.location,
  size: decision.size.name,
  image: decision.image.name,
  ...(decision.sshCidrs.length > 0 && { sshCidr: decision.sshCidrs.join(',') }),
  ...(decision.subnet !== undefined && { subnet: decision.subnet }),
})
