import type { ImageReference, Plan, VirtualMachineImage } from '@azure/arm-compute'
import type { Call } from '../../driver.ts'
import type { AzureApi } from '../api/azure-api.ts'
import { releases } from './image-names.ts'
import { type Checked, ignoreForbidden, ignoreNotFound, usageError } from '../api/sdk-errors.ts'
import type { Size } from './sizes.ts'
import { shellQuote } from '../../../os/shell-quote.ts'

/** An image in the form that a request for a virtual machine requires. */
export interface Image {
  /** Name in the record: a URN with its version, or an ID. */
  readonly name: string
  readonly reference: ImageReference
  /** Purchase plan of a commercial image, whose terms must be accepted. */
  readonly plan?: Plan
}

/** What an image requires of a virtual machine. */
interface Needs {
  readonly architecture?: string | undefined
  readonly hyperVGeneration?: string | undefined
}

function checkFit(
  name: string,
  size: Size,
  { architecture = 'x64', hyperVGeneration }: Needs,
): void {
  if (architecture.toLowerCase() !== size.architecture.toLowerCase()) {
    throw usageError(
      `image ${name} is for ${architecture}, but size ${size.name} is ${size.architecture}`,
      'choose another --image or --size',
    )
  }
  if (hyperVGeneration !== undefined && !size.generations.includes(hyperVGeneration)) {
    throw usageError(
      `image ${name} requires Hyper-V generation ${hyperVGeneration}, but size ${size.name} supports only ${size.generations.join(', ')}`,
      'choose another --image or --size',
    )
  }
}

function skuFor(image: string, size: Size): readonly [string, string, string, string] {
  const release = releases[image]
  if (release === undefined) return image.split(':') as [string, string, string, string]
  const x64 = size.generations.includes('V2') ? release.x64 : release.x64Generation1
  const sku = size.architecture === 'Arm64' ? release.arm64 : x64
  return [release.publisher, release.offer, sku, 'latest']
}

function planOf({ plan }: VirtualMachineImage): { plan?: Plan } {
  if (plan === undefined) return {}
  return { plan: { name: plan.name, publisher: plan.publisher, product: plan.product } }
}

async function findMarketplaceImage(
  { compute, cached }: AzureApi,
  location: string,
  image: string,
  size: Size,
  { signal: abortSignal }: Call,
): Promise<Image> {
  const [publisher, offer, sku, wanted] = skuFor(image, size)
  const urn = [publisher, offer, sku, wanted].join(':')
  let version: string | undefined = wanted
  if (wanted === 'latest') {
    const options = { top: 1, orderby: 'name desc', abortSignal }
    const newest = cached(`images ${location} ${urn}`, () =>
      compute.virtualMachineImages.list(location, publisher, offer, sku, options),
    )
    version = (await ignoreNotFound(newest))?.[0]?.name
  }
  const exact = version
  const found =
    exact === undefined
      ? undefined
      : await ignoreNotFound(
          cached(`image ${location} ${publisher}:${offer}:${sku}:${exact}`, () =>
            compute.virtualMachineImages.get(location, publisher, offer, sku, exact, {
              abortSignal,
            }),
          ),
        )
  if (version === undefined || found === undefined) {
    throw usageError(
      `there is no image ${urn} in ${location}`,
      `to list the images: az vm image list-skus --location ${shellQuote(location)} --publisher ${shellQuote(publisher)} --offer ${shellQuote(offer)}`,
    )
  }
  const name = [publisher, offer, sku, version].join(':')
  checkFit(name, size, found)
  return { name, reference: { publisher, offer, sku, version }, ...planOf(found) }
}

/** Returns an image by its name, if the login cannot look it up. Azure then chooses the version. */
function imageByName(image: string, size: Size): Checked<Image> {
  const [publisher, offer, sku, version] = skuFor(image, size)
  const name = [publisher, offer, sku, version].join(':')
  return { value: { name, reference: { publisher, offer, sku, version } }, unchecked: 'the image' }
}

const idParts =
  /^\/subscriptions\/[^/]+\/resourceGroups\/([^/]+)\/providers\/Microsoft\.Compute\/(?:images\/([^/]+)|galleries\/([^/]+)\/images\/([^/]+)(?:\/versions\/[^/]+)?)$/i

/** Finds the user's own image: a managed image, an image version in a gallery, or the newest version in a gallery. */
async function findOwnImage(
  { compute }: AzureApi,
  id: string,
  size: Size,
  { signal: abortSignal }: Call,
): Promise<Image> {
  const [, group = '', managed, gallery = '', definition = ''] = idParts.exec(id) ?? []
  const found = await ignoreNotFound<Needs>(
    managed === undefined
      ? compute.galleryImages.get(group, gallery, definition, { abortSignal })
      : compute.images.get(group, managed, { abortSignal }),
  )
  if (found === undefined) throw usageError(`there is no image ${id}`, 'check --image')
  checkFit(id, size, found)
  return { name: id, reference: { id } }
}

/**
 * Finds an image for a size in a location. Throws kind `usage` if the image does not exist or does not fit the size.
 */
export async function findImage(
  api: AzureApi,
  location: string,
  image: string,
  size: Size,
  call: Call,
): Promise<Checked<Image>> {
  if (!image.startsWith('/')) {
    const found = await ignoreForbidden(findMarketplaceImage(api, location, image, size, call))
    return found === undefined ? imageByName(image, size) : { value: found }
  }
  const [, subscription] = image.split('/').filter((part) => part !== '')
  if (!idParts.test(image) || subscription?.toLowerCase() !== api.account.subscription) {
    throw usageError(
      `${image} is not an image in this subscription`,
      'expected /subscriptions/…/images/NAME or …/galleries/GALLERY/images/NAME[/versions/VERSION]',
    )
  }
  return { value: await findOwnImage(api, image, size, call) }
}
