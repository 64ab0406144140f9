/** Marketplace offer and SKUs of a distribution. */
export interface Release {
  readonly publisher: string
  readonly offer: string
  /** SKU for generation 2, which all current sizes support. */
  readonly x64: string
  /** SKU for sizes that support only generation 1. */
  readonly x64Generation1: string
  readonly arm64: string
}

/** Images that can be selected by name. None has a purchase plan. */
export const releases: Readonly<Record<string, Release>> = {
  'debian-13': {
    publisher: 'Debian',
    offer: 'debian-13',
    x64: '13-gen2',
    x64Generation1: '13',
    arm64: '13-arm64',
  },
  'debian-12': {
    publisher: 'Debian',
    offer: 'debian-12',
    x64: '12-gen2',
    x64Generation1: '12',
    arm64: '12-arm64',
  },
  'ubuntu-24.04': {
    publisher: 'Canonical',
    offer: 'ubuntu-24_04-lts',
    x64: 'server',
    x64Generation1: 'server-gen1',
    arm64: 'server-arm64',
  },
  'ubuntu-22.04': {
    publisher: 'Canonical',
    offer: '0001-com-ubuntu-server-jammy',
    x64: '22_04-lts-gen2',
    x64Generation1: '22_04-lts',
    arm64: '22_04-lts-arm64',
  },
}

export const imageNames = Object.keys(releases)
