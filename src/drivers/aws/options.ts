import * as z from 'zod'
import { parseCidrs } from '../net/cidrs.ts'
import { imageNames } from './create/image-names.ts'
import { parsePorts } from '../net/ports.ts'
import { parseTags } from './tags.ts'

/** Also of what records say. */
export const regionPattern = /^[a-z]{2,}(?:-[a-z]+)+-\d+$/

const id = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}-[0-9a-f]{8,17}$`), `expected an id, ${prefix}-…`)

const groupList = /^\s*sg-[0-9a-f]{8,17}\s*(?:,\s*sg-[0-9a-f]{8,17}\s*)*$/

/** What a person can choose of a host on EC2. */
export const awsOptions = z.strictObject({
  region: z
    .string()
    .regex(regionPattern, 'expected a region, such as eu-west-1')
    .optional()
    .describe('AWS region; that of your environment or profile unless told.'),
  profile: z
    .string()
    .min(1)
    .optional()
    .describe('Profile of your AWS configuration; AWS_PROFILE, else the default one, unless told.'),
  zone: z
    .string()
    .regex(/^[a-z]{2,}(?:-[a-z0-9]+)+[a-z]$/, 'expected a zone, such as eu-west-1a')
    .optional()
    .describe('Availability zone; any that has room unless told.'),
  type: z
    .string()
    .regex(/^[a-z0-9-]+\.[a-z0-9-]+$/, 'expected an instance type, such as t4g.small')
    .default('t3.small')
    .describe('Instance type; it also decides the architecture (t4g.small is arm64).'),
  image: z
    .string()
    .regex(
      new RegExp(`^(?:${imageNames.join('|').replaceAll('.', '\\.')}|ami-[0-9a-f]{8,17})$`),
      `expected one of ${imageNames.join(', ')}, or an id, ami-…`,
    )
    .default('debian-13')
    .describe(
      `Image: ${imageNames.join(', ')} (the newest is taken), or an ami-… with cloud-init.`,
    ),
  disk: z.int().min(8).max(16_384).default(20).describe('Size of the root disk, in GiB.'),
  vpc: id('vpc').optional().describe("VPC; the region's default one unless told."),
  subnet: id('subnet').optional().describe('Subnet; any of the VPC that has room unless told.'),
  securityGroups: z
    .string()
    .regex(groupList, 'expected ids, sg-…,sg-…')
    .optional()
    .describe(
      'Security groups of yours, sg-…,sg-…, in place of one that fleet makes; never changed.',
    ),
  sshCidr: z
    .string()
    .refine(
      (text) => parseCidrs(text) !== undefined,
      'expected addresses or ranges, 203.0.113.0/24,…',
    )
    .optional()
    .describe('Addresses that may reach SSH, 203.0.113.0/24,…; only your own unless told.'),
  ports: z
    .string()
    .refine((text) => parsePorts(text) !== undefined, 'expected ports, 80,443/tcp,8000-8100/udp')
    .optional()
    .describe('Ports that everybody may reach, 80,443/tcp,8000-8100/udp; none unless told.'),
  spot: z
    .enum(['never', 'prefer', 'only'])
    .default('never')
    .describe('Spot capacity: never, where there is some (prefer), or nothing else (only).'),
  cpuCredits: z
    .enum(['standard', 'unlimited'])
    .optional()
    .describe(
      'CPU credits of T types (default: that of the type): standard slows the host down once they are used up, unlimited costs more.',
    ),
  instanceProfile: z
    .string()
    .min(1)
    .optional()
    .describe('IAM instance profile, by name or ARN: what programs on the host may do in AWS.'),
  keyPair: z
    .string()
    .min(1)
    .optional()
    .describe("Key pair of yours to give the instance in place of fleet's; never deleted."),
  privateOnly: z
    .boolean()
    .default(false)
    .describe('No public address: fleet connects to the private one.'),
  elasticIp: z.boolean().default(false).describe('An address that stays when the host is stopped.'),
  tags: z
    .string()
    .refine(
      (text) => parseTags(text) !== undefined,
      'expected tags, key=value,…, none of fleet or aws:',
    )
    .optional()
    .describe('Tags for all that is made, key=value,key=value.'),
  user: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'expected a user name')
    .default('fleet')
    .describe('User that is made on the host, and logged in as.'),
  terminationProtection: z
    .boolean()
    .default(false)
    .describe('EC2 refuses to terminate the instance; only `fleet rm` lifts that.'),
  shutdownBehaviour: z
    .enum(['stop', 'terminate'])
    .default('stop')
    .describe('What a shutdown from within does to the instance.'),
})
/** What a person has chosen of a host on EC2. */
export type AwsOptions = z.infer<typeof awsOptions>
