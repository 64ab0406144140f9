import { type IsoFile, writeIso } from './iso-image.ts'

/** Contents of the NoCloud data source of cloud-init. */
export interface NoCloudSeed {
  /** cloud-init treats a boot with a different ID as another first boot. */
  readonly instanceId: string
  readonly hostName: string
  readonly userData: Uint8Array
  /**
   * MAC addresses of the network cards if there are several, to configure DHCP on each. By default, cloud-init chooses
   * one card.
   */
  readonly macAddresses?: readonly string[] | undefined
}

/** Network configuration version 2 of cloud-init. JSON is valid YAML. */
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
 * Creates the medium for cloud-init's NoCloud data source: an ISO image with the label `cidata` (cloud-init's
 * documentation, "NoCloud", "Source 2: drive with labeled filesystem").
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
