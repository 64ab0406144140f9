/** A public image (AMI). */
export interface Image {
  readonly id: string
  readonly name: string
  readonly owner: string
  readonly architecture: 'x86_64' | 'arm64'
  readonly created: string
  readonly rootDevice: string
  /** Size of the root disk, in GiB. */
  readonly rootSize: number
  /** The account that cloud-init creates if user-data sets no users. */
  readonly user: string
}

interface Publisher {
  readonly owner: string
  readonly rootDevice: string
  readonly user: string
  readonly name: (release: string, architecture: string, date: string) => string
}

const debian: Publisher = {
  owner: '136693071363',
  rootDevice: '/dev/xvda',
  user: 'admin',
  name: (release, architecture, date) => `debian-${release}-${architecture}-${date}-2053`,
}

const canonical = (codename: string, bus: string): Publisher => ({
  owner: '099720109477',
  rootDevice: '/dev/sda1',
  user: 'ubuntu',
  name: (release, architecture, date) =>
    `ubuntu/images/${bus}/ubuntu-${codename}-${release}-${architecture}-server-${date}`,
})

const releases: readonly (readonly [Publisher, string, readonly string[]])[] = [
  [debian, '12', ['20250316', '20250814']],
  [debian, '13', ['20250814', '20251006']],
  [canonical('jammy', 'hvm-ssd'), '22.04', ['20250305', '20251015']],
  [canonical('noble', 'hvm-ssd-gp3'), '24.04', ['20250305', '20251015']],
  [canonical('resolute', 'hvm-ssd-gp3'), '26.04', ['20260423', '20261015']],
]

const architectures = { amd64: 'x86_64', arm64: 'arm64' } as const
const dashed = (date: string) => `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`

/**
 * An older and a newer image of each kind. The newer one is first, because EC2 does not sort its
 * responses.
 */
export const images: readonly Image[] = releases.flatMap(([publisher, release, dates], family) =>
  Object.entries(architectures).flatMap(([name, architecture], kind) =>
    dates.toReversed().map((date, index): Image => ({
      id: `ami-0${family}${kind}${index}${'fee1'.repeat(3)}0`,
      name: publisher.name(release, name, date),
      owner: publisher.owner,
      architecture,
      created: `${dashed(date)}T20:55:13.000Z`,
      rootDevice: publisher.rootDevice,
      rootSize: 8,
      user: publisher.user,
    })),
  ),
)

/** The images in moto's format (MOTO_AMIS_PATH). */
export const motoImages = () =>
  images.map((image) => ({
    ami_id: image.id,
    name: image.name,
    owner_id: image.owner,
    architecture: image.architecture,
    creation_date: image.created,
    root_device_name: image.rootDevice,
    root_device_type: 'ebs',
    image_location: `amazon/${image.name}`,
    description: image.name,
    public: true,
    state: 'available',
    virtualization_type: 'hvm',
    hypervisor: 'xen',
    sriov: 'simple',
    boot_mode: 'uefi-preferred',
  }))
