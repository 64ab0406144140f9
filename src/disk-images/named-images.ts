/** Processor architectures of published images, in Docker's terms. */
export type Architecture = 'amd64' | 'arm64'

/** URLs of an image and of the checksum list that contains its digest. */
export interface PublishedImage {
  readonly url: string
  /** The list of checksums: lines `DIGEST  FILE` or `DIGEST *FILE`, in the format of sha256sum. */
  readonly checksums: { readonly url: string; readonly algorithm: 'sha256' | 'sha512' }
}

/** Published images, keyed by name. All of them contain cloud-init, and drivers for every hypervisor. */
export type Catalogue = Readonly<Record<string, (arch: Architecture) => PublishedImage>>

const debian =
  (release: number, codename: string) =>
  (arch: Architecture): PublishedImage => {
    const folder = `https://cloud.debian.org/images/cloud/${codename}/latest`
    return {
      url: `${folder}/debian-${release}-generic-${arch}.qcow2`,
      checksums: { url: `${folder}/SHA512SUMS`, algorithm: 'sha512' },
    }
  }

const ubuntu =
  (release: string) =>
  (arch: Architecture): PublishedImage => {
    const folder = `https://cloud-images.ubuntu.com/releases/${release}/release`
    return {
      url: `${folder}/ubuntu-${release}-server-cloudimg-${arch}.img`,
      checksums: { url: `${folder}/SHA256SUMS`, algorithm: 'sha256' },
    }
  }

/** The images that can be selected by name. */
export const namedImages: Catalogue = {
  'debian-12': debian(12, 'bookworm'),
  'debian-13': debian(13, 'trixie'),
  'ubuntu-24.04': ubuntu('24.04'),
}
