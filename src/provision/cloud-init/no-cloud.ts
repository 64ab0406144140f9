import { type IsoFile, writeIso } from './iso-image.ts'

/** What a host that starts from an image is told by a medium of its own. */
export interface NoCloudSeed {
  /** Another one is another first boot. */
  readonly instanceId: string
  readonly hostName: string
  readonly userData: Uint8Array
  /** Of the network cards, where there are several: each gets its address by DHCP. None: cloud-init's own choice. */
  readonly macAddresses?: readonly string[] | undefined
}

/** Version 2 of cloud-init's network configuration; JSON is YAML. */
const networkConfig = (macAddresses: readonly string[]): string =>
  JSON.stringify({
    version: 2,
    ethernets: Object.fromEntries(
      macAddresses.map((macaddress, index) => [
        `eth${index}`,
        { match: { macaddress }, 'set-name': `eth${index}`, dhcp4: true, optional: index > 0 },
      ]),
    ),
  })

/**
 * The medium of cloud-init's NoCloud data source: an ISO image with the label `cidata` (its documentation, "NoCloud",
 * "Source 2: drive with labeled filesystem").
 */
export function writeNoCloudSeed({
  instanceId,
  hostName,
  userData,
  macAddresses = [],
}: NoCloudSeed): Buffer {
  const metaData = `instance-id: ${instanceId}\nlocal-hostname: ${hostName}\n`
  const files: IsoFile[] = [
    { name: 'meta-data', content: Buffer.from(metaData) },
    { name: 'user-data', content: userData },
  ]
  if (macAddresses.length > 0) {
    const content = Buffer.from(`${networkConfig(macAddresses)}\n`)
    files.unshift({ name: 'network-config', content })
  }
  return writeIso('cidata', files)
}
