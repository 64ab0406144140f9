/** The publisher and the name pattern of a distribution's images. */
export interface Release {
  /** The publisher's AWS account. */
  readonly owner: string
  /** Name filter for DescribeImages; `ARCH` is replaced by amd64 or arm64. */
  readonly name: string
}

const debian = '136693071363' // https://wiki.debian.org/Cloud/AmazonEC2Image
const canonical = '099720109477' // https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/

/** Images that can be selected by name. */
export const releases: Readonly<Record<string, Release>> = {
  'debian-13': { owner: debian, name: 'debian-13-ARCH-2*' },
  'debian-12': { owner: debian, name: 'debian-12-ARCH-2*' },
  'ubuntu-26.04': {
    owner: canonical,
    name: 'ubuntu/images/hvm-ssd-gp3/ubuntu-resolute-26.04-ARCH-server-2*',
  },
  'ubuntu-24.04': {
    owner: canonical,
    name: 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-ARCH-server-2*',
  },
  'ubuntu-22.04': {
    owner: canonical,
    name: 'ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-ARCH-server-2*',
  },
}

export const imageNames = Object.keys(releases)
