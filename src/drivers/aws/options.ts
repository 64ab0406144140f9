import * as z from 'zod'
import { portsOption, sshCidrOption } from '../options/shared-options.ts'
import { imageNames } from './create/image-names.ts'
import { parseTags } from './tags.ts'

/** Pattern for region names, in options and in records. */
export const regionPattern = /^[a-z]{2,}(?:-[a-z]+)+-\d+$/

/** Pattern for profile names, in options and in records: they become arguments of the AWS CLI. */
export const profilePattern = /^(?![-\s])[^\p{C}\p{Zl}\p{Zp}]{1,128}(?<!\s)$/u

export const reachNames = ['direct', 'ssm', 'eice'] as const

const id = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}-[0-9a-f]{8,17}$`), `expected an ID (${prefix}-…)`)

const groupList = /^\s*sg-[0-9a-f]{8,17}\s*(?:,\s*sg-[0-9a-f]{8,17}\s*)*$/

/** Options for hosts on EC2. */
export const awsOptions = z.strictObject({
  region: z
    .string()
    .regex(regionPattern, 'expected a region, such as eu-west-1')
    .optional()
    .describe('AWS region (default: from your environment or profile)'),
  profile: z
    .string()
    .regex(profilePattern, 'expected a profile name')
    .optional()
    .describe('Profile in your AWS configuration (default: AWS_PROFILE, else the default profile)'),
  zone: z
    .string()
    .regex(/^[a-z]{2,}(?:-[a-z0-9]+)+[a-z]$/, 'expected a zone, such as eu-west-1a')
    .optional()
    .describe('Availability zone (default: any zone with capacity)'),
  type: z
    .string()
    .regex(/^[a-z0-9-]+\.[a-z0-9-]+$/, 'expected an instance type, such as t4g.small')
    .default('t3.small')
    .describe('Instance type, which also determines the architecture (t4g.small is arm64)'),
  image: z
    .string()
    .regex(
      new RegExp(`^(?:${imageNames.join('|').replaceAll('.', '\\.')}|ami-[0-9a-f]{8,17})$`),
      `expected one of ${imageNames.join(', ')}, or an image ID (ami-…)`,
    )
    .default('debian-13')
    .describe(
      `Image: ${imageNames.join(', ')} (the newest build of each), or the ID of an AMI with cloud-init`,
    ),
  disk: z.int().min(8).max(16_384).default(20).describe('Root disk size in GiB'),
  vpc: id('vpc').optional().describe("VPC (default: the region's default VPC)"),
  subnet: id('subnet')
    .optional()
    .describe('Subnet (default: any subnet in the VPC that has capacity)'),
  securityGroups: z
    .string()
    .regex(groupList, 'expected IDs separated by commas (sg-…,sg-…)')
    .optional()
    .describe(
      'Comma-separated IDs of your own security groups, which fleet never changes (default: a group that fleet creates)',
    ),
  sshCidr: sshCidrOption,
  ports: portsOption,
  spot: z
    .enum(['never', 'prefer', 'only'])
    .default('never')
    .describe('Spot instance policy; `prefer` falls back to an on-demand instance'),
  cpuCredits: z
    .enum(['standard', 'unlimited'])
    .optional()
    .describe(
      'CPU credit mode for T instance types; `standard` throttles the host when credits run out, and `unlimited` can cost more (default: depends on the type)',
    ),
  instanceProfile: z
    .string()
    .min(1)
    .optional()
    .describe('Name or ARN of an IAM instance profile for programs on the host (default: none)'),
  keyPair: z
    .string()
    .min(1)
    .optional()
    .describe('Your own key pair, which fleet never deletes (default: one that fleet creates)'),
  privateOnly: z
    .boolean()
    .default(false)
    .describe('No public address; fleet connects to the private address'),
  reach: z
    .enum(reachNames)
    .optional()
    .describe(
      'SSH connection method: direct, through Session Manager (ssm), or through an EC2 Instance Connect Endpoint (eice) (default: direct)',
    ),
  elasticIp: z
    .boolean()
    .default(false)
    .describe('Elastic IP: a public address that does not change when the host is stopped'),
  tags: z
    .string()
    .refine(
      (text) => parseTags(text) !== undefined,
      'expected tags as key=value,… without reserved keys (fleet:, aws:)',
    )
    .optional()
    .describe('Tags for all created resources, as key=value,key=value (default: none)'),
  user: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'expected a user name')
    .default('fleet')
    .describe('User to create on the host and to log in as'),
  terminationProtection: z
    .boolean()
    .default(false)
    .describe('Termination protection, which `fleet rm` turns off automatically'),
  shutdownBehaviour: z
    .enum(['stop', 'terminate'])
    .default('stop')
    .describe('Action when the host shuts itself down'),
})
/** Validated options of a host on EC2. */
export type AwsOptions = z.infer<typeof awsOptions>
