import * as z from 'zod'
import { portsOption, sshCidrOption } from '../options/shared-options.ts'
import { imageNames } from './create/image-names.ts'
import { parseTags } from './tags.ts'

const text = (pattern: RegExp, what: string) => z.string().regex(pattern, `expected ${what}`)

const guid = text(
  /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  'an ID (00000000-0000-0000-0000-000000000000)',
)

/** A segment of a resource ID, but not `.` or `..`. */
const pathPart = String.raw`(?!\.{1,2}(?:/|$))[\w().-]{1,260}`

/** A segment of a marketplace image's name, which also becomes part of a path. */
const imagePart = String.raw`(?!\.{1,2}(?::|$))[\w.-]{1,128}`

/** A full resource ID. */
const resourceId = String.raw`/subscriptions/[\w-]{1,64}(?:/${pathPart}){1,20}`

/** Administrator names that Azure rejects (https://learn.microsoft.com/azure/virtual-machines/linux/faq). */
const forbiddenUsers = new Set(
  'admin administrator root user user1 user2 user3 user4 user5 test test1 test2 test3 guest actuser adm admin1 admin2 aspnet backup console david john owner server sql support support_388945a0 sys video a 1 123'.split(
    ' ',
  ),
)

/** Options for hosts in Azure. */
export const azureOptions = z.strictObject({
  location: text(/^[A-Za-z0-9][A-Za-z0-9 ]*$/, 'a location, such as westeurope').describe(
    'Azure location, such as westeurope',
  ),
  zone: text(/^[1-9]$/, 'a zone, such as 1')
    .optional()
    .describe('Availability zone, such as 1 (default: chosen by Azure)'),
  size: text(/^[A-Za-z0-9_-]+$/, 'a size, such as Standard_B2als_v2')
    .default('Standard_B2als_v2')
    .describe('Virtual machine size, which also determines the architecture'),
  image: text(
    new RegExp(
      `^(?:${imageNames.join('|').replaceAll('.', String.raw`\.`)}|${imagePart}(?::${imagePart}){3}|${resourceId})$`,
    ),
    `one of ${imageNames.join(', ')}, PUBLISHER:OFFER:SKU:VERSION, or an ID (/subscriptions/…)`,
  )
    .default('debian-13')
    .describe(
      `Image: ${imageNames.join(', ')} (the newest build of each), PUBLISHER:OFFER:SKU:VERSION, or the ID of your own image with cloud-init`,
    ),
  disk: z.int().min(4).max(4095).optional().describe('Disk size in GiB (default: the image size)'),
  diskType: z
    .enum(['StandardSSD_LRS', 'StandardSSD_ZRS', 'Premium_LRS', 'Premium_ZRS', 'Standard_LRS'])
    .default('StandardSSD_LRS')
    .describe('Disk type'),
  resourceGroup: text(/^[\w().-]{0,89}[\w()-]$/, 'a resource group name')
    .optional()
    .describe(
      'Your own resource group, which fleet never deletes (default: a new one for each host)',
    ),
  subnet: text(
    new RegExp(
      `^(?:(?:${pathPart}/)?${pathPart}/${pathPart}|(?=.*/subnets/[^/]+$)${resourceId})$`,
      'i',
    ),
    'VNET/SUBNET, GROUP/VNET/SUBNET or an ID (/subscriptions/…)',
  )
    .optional()
    .describe(
      'Your own subnet, as VNET/SUBNET, GROUP/VNET/SUBNET or an ID (default: a network shared by hosts in the inventory)',
    ),
  sshCidr: sshCidrOption,
  ports: portsOption,
  privateOnly: z
    .boolean()
    .default(false)
    .describe('No public address; fleet connects to the private address'),
  reach: z
    .enum(['direct', 'bastion'])
    .optional()
    .describe('SSH connection method: direct, or through Azure Bastion (default: direct)'),
  bastion: text(
    new RegExp(`^(?:${pathPart}/${pathPart}|(?=.*/bastionHosts/[^/]+$)${resourceId})$`, 'i'),
    'GROUP/NAME or an ID (/subscriptions/…)',
  )
    .optional()
    .describe(
      "Azure Bastion for `reach: bastion`, as GROUP/NAME or an ID (default: the Bastion in the subnet's network)",
    ),
  dnsLabel: text(
    /^[a-z][a-z0-9-]{1,61}[a-z0-9]$/,
    '3 to 63 lowercase letters, digits or "-", beginning with a letter and ending with a letter or digit',
  )
    .optional()
    .describe(
      'DNS label for the public address, as in LABEL.LOCATION.cloudapp.azure.com (default: none)',
    ),
  spot: z
    .boolean()
    .default(false)
    .describe('Spot virtual machine: costs less, but Azure can evict the host at any time'),
  eviction: z
    .enum(['deallocate', 'delete'])
    .default('deallocate')
    .describe('Action when Azure evicts a spot host'),
  managedIdentity: text(
    new RegExp(`^(?:system|${resourceId})$`, 'i'),
    'system, or an ID (/subscriptions/…)',
  )
    .optional()
    .describe(
      'Managed identity for programs on the host: `system`, or the ID of your own identity (default: none)',
    ),
  securityType: z
    .enum(['Standard', 'TrustedLaunch'])
    .optional()
    .describe(
      'Security type; TrustedLaunch enables secure boot and a vTPM (default: chosen by Azure)',
    ),
  encryptionAtHost: z
    .boolean()
    .optional()
    .describe('Encryption at host, which covers temporary disks and caches (default: off)'),
  acceleratedNetworking: z
    .boolean()
    .optional()
    .describe('Accelerated networking (default: on if the size supports it)'),
  bootDiagnostics: z
    .boolean()
    .default(true)
    .describe("Boot diagnostics, which show the host's console output in the Azure portal"),
  tags: z
    .string()
    .refine(
      (list) => parseTags(list) !== undefined,
      'expected tags as key=value,… without keys reserved by fleet or Azure',
    )
    .optional()
    .describe('Tags for all created resources, as key=value,key=value (default: none)'),
  user: text(/^[a-z_][a-z0-9_-]{0,31}$/, 'a user name')
    .refine((name) => !forbiddenUsers.has(name), 'Azure does not allow this user name')
    .default('fleet')
    .describe('User to create on the host and to log in as'),
  subscription: guid
    .optional()
    .describe(
      'Subscription ID (default: AZURE_SUBSCRIPTION_ID, else the default in the Azure CLI)',
    ),
  tenant: guid.optional().describe("Tenant ID (default: your login's tenant)"),
  cloud: z.enum(['public', 'china', 'usgov']).default('public').describe('Azure cloud'),
  registerProviders: z
    .boolean()
    .default(false)
    .describe(
      'Register Microsoft.Compute and Microsoft.Network in the subscription if they are not registered',
    ),
})

/** Validated options of a host in Azure. */
export type AzureOptions = z.infer<typeof azureOptions>
