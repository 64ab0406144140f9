import * as z from 'zod'
import { parseCidrs } from '../net/cidrs.ts'
import { imageNames } from './create/image-names.ts'
import { parsePorts } from '../net/ports.ts'
import { parseTags } from './tags.ts'

const text = (pattern: RegExp, what: string) => z.string().regex(pattern, `expected ${what}`)

const guid = text(
  /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  'an id, 00000000-0000-0000-0000-000000000000',
)

/** One part of a resource's path, which is no `.` and no `..`. */
const pathPart = String.raw`(?!\.{1,2}(?:/|$))[\w().-]{1,260}`

/** One part of a marketplace image's name, which becomes part of a path too. */
const imagePart = String.raw`(?!\.{1,2}(?::|$))[\w.-]{1,128}`

/** A resource's whole id. */
const resourceId = String.raw`/subscriptions/[\w-]{1,64}(?:/${pathPart}){1,20}`

/** Azure refuses these as the administrator's name (https://learn.microsoft.com/azure/virtual-machines/linux/faq). */
const forbiddenUsers = new Set(
  'admin administrator root user user1 user2 user3 user4 user5 test test1 test2 test3 guest actuser adm admin1 admin2 aspnet backup console david john owner server sql support support_388945a0 sys video a 1 123'.split(
    ' ',
  ),
)

/** What a person can choose of a host in Azure. */
export const azureOptions = z.strictObject({
  location: text(/^[A-Za-z0-9][A-Za-z0-9 ]*$/, 'a location, such as westeurope').describe(
    'Azure location, such as westeurope.',
  ),
  zone: text(/^[1-9]$/, 'a zone, such as 1')
    .optional()
    .describe('Availability zone, such as 1; Azure chooses unless told.'),
  size: text(/^[A-Za-z0-9_-]+$/, 'a size, such as Standard_B2als_v2')
    .default('Standard_B2als_v2')
    .describe('Size of the virtual machine; it also decides the architecture.'),
  image: text(
    new RegExp(
      `^(?:${imageNames.join('|').replaceAll('.', String.raw`\.`)}|${imagePart}(?::${imagePart}){3}|${resourceId})$`,
    ),
    `one of ${imageNames.join(', ')}, PUBLISHER:OFFER:SKU:VERSION, or an id, /subscriptions/…`,
  )
    .default('debian-13')
    .describe(
      `Image: ${imageNames.join(', ')} (the newest is taken), PUBLISHER:OFFER:SKU:VERSION, or the id of one of yours with cloud-init.`,
    ),
  disk: z
    .int()
    .min(4)
    .max(4095)
    .optional()
    .describe('Size of the disk, in GiB; that of the image unless told.'),
  diskType: z
    .enum(['StandardSSD_LRS', 'StandardSSD_ZRS', 'Premium_LRS', 'Premium_ZRS', 'Standard_LRS'])
    .default('StandardSSD_LRS')
    .describe('Kind of disk.'),
  resourceGroup: text(/^[\w().-]{0,89}[\w()-]$/, 'the name of a resource group')
    .optional()
    .describe('Resource group of yours; never deleted. Each host gets one of its own unless told.'),
  subnet: text(
    new RegExp(
      `^(?:(?:${pathPart}/)?${pathPart}/${pathPart}|(?=.*/subnets/[^/]+$)${resourceId})$`,
      'i',
    ),
    'VNET/SUBNET, GROUP/VNET/SUBNET or an id, /subscriptions/…',
  )
    .optional()
    .describe(
      'Subnet of yours: VNET/SUBNET, GROUP/VNET/SUBNET or its id; each host gets a network of its own unless told.',
    ),
  sshCidr: z
    .string()
    .refine(
      (list) => parseCidrs(list) !== undefined,
      'expected addresses or ranges, 203.0.113.0/24,…',
    )
    .optional()
    .describe('Addresses that may reach SSH, 203.0.113.0/24,…; only your own unless told.'),
  ports: z
    .string()
    .refine((list) => parsePorts(list) !== undefined, 'expected ports, 80,443/tcp,8000-8100/udp')
    .optional()
    .describe('Ports that everybody may reach, 80,443/tcp,8000-8100/udp; none unless told.'),
  privateOnly: z
    .boolean()
    .default(false)
    .describe('No public address: fleet connects to the private one.'),
  dnsLabel: text(/^[a-z][a-z0-9-]{1,61}[a-z0-9]$/, '3 to 63 lower-case letters, digits and "-"')
    .optional()
    .describe('Name of the public address: LABEL.LOCATION.cloudapp.azure.com.'),
  spot: z.boolean().default(false).describe('Spot capacity: cheaper, and taken away at need.'),
  eviction: z
    .enum(['deallocate', 'delete'])
    .default('deallocate')
    .describe('What becomes of a spot host that is taken away.'),
  managedIdentity: text(
    new RegExp(`^(?:system|${resourceId})$`, 'i'),
    'system, or an id, /subscriptions/…',
  )
    .optional()
    .describe(
      'Identity of the host, `system` or the id of one of yours: what programs on it may do in Azure.',
    ),
  securityType: z
    .enum(['Standard', 'TrustedLaunch'])
    .optional()
    .describe(
      'Security type of the virtual machine; TrustedLaunch has secure boot and a vTPM (default: that of Azure).',
    ),
  encryptionAtHost: z
    .boolean()
    .optional()
    .describe(
      'Encryption of temporary disks and caches on the computer beneath (default: that of Azure, off).',
    ),
  acceleratedNetworking: z
    .boolean()
    .optional()
    .describe('Accelerated networking; on where the size has it unless told.'),
  bootDiagnostics: z
    .boolean()
    .default(true)
    .describe("Whether Azure keeps the host's boot console for the portal."),
  tags: z
    .string()
    .refine(
      (list) => parseTags(list) !== undefined,
      'expected tags, key=value,…, none of fleet or Azure',
    )
    .optional()
    .describe('Tags for all that is made, key=value,key=value.'),
  user: text(/^[a-z_][a-z0-9_-]{0,31}$/, 'a user name')
    .refine((name) => !forbiddenUsers.has(name), 'Azure does not allow this name')
    .default('fleet')
    .describe('User that is made on the host, and logged in as.'),
  subscription: guid
    .optional()
    .describe('Subscription; AZURE_SUBSCRIPTION_ID, else the default one of `az`, unless told.'),
  tenant: guid.optional().describe('Tenant to log in to; that of the login unless told.'),
  cloud: z.enum(['public', 'china', 'usgov']).default('public').describe('Which Azure.'),
  registerProviders: z
    .boolean()
    .default(false)
    .describe(
      'Lets fleet register Microsoft.Compute and Microsoft.Network in the subscription where they are not.',
    ),
})

/** What a person has chosen of a host in Azure. */
export type AzureOptions = z.infer<typeof azureOptions>
