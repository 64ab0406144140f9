import { UserError } from '../../../errors.ts'
import type { AwsOptions } from '../options.ts'

const conflicts: readonly (readonly [
  clash: (options: AwsOptions) => boolean,
  message: string,
  hint: string,
])[] = [
  [
    ({ privateOnly, elasticIp }) => privateOnly && elasticIp,
    '--private-only and --elastic-ip cannot be combined',
    'omit --private-only or --elastic-ip',
  ],
  [
    ({ securityGroups, ports, sshCidr }) =>
      securityGroups !== undefined && (ports !== undefined || sshCidr !== undefined),
    '--ports and --ssh-cidr cannot be combined with --security-groups: fleet does not change your security groups',
    'open the ports in your own security groups, or omit --security-groups',
  ],
  [
    ({ spot, terminationProtection }) => spot !== 'never' && terminationProtection,
    '--termination-protection and --spot cannot be combined: EC2 does not support termination protection for spot instances',
    'omit --termination-protection, or use --spot never',
  ],
  [
    ({ reach, image }) => reach === 'ssm' && image.startsWith('debian-'),
    '--reach ssm requires an image with the SSM agent, which Debian images do not include',
    'use --image ubuntu-24.04 or another image with the agent, or install the agent with user-data',
  ],
  [
    ({ reach, securityGroups, sshCidr }) =>
      reach === 'eice' && securityGroups === undefined && sshCidr === undefined,
    '--reach eice requires --ssh-cidr with the addresses that the endpoint connects from',
    "use the address range of the endpoint's subnet or VPC, for example: --ssh-cidr 10.0.0.0/16",
  ],
  [
    ({ privateOnly, reach = 'direct', securityGroups, sshCidr }) =>
      privateOnly && reach === 'direct' && securityGroups === undefined && sshCidr === undefined,
    '--private-only requires --ssh-cidr: your address in the private network cannot be detected',
    'specify a range, for example --ssh-cidr 10.0.0.0/8, or use --reach ssm, which requires no open ports',
  ],
]

/** Throws kind `usage` if options conflict. */
export function validateOptions(options: AwsOptions): void {
  const conflict = conflicts.find(([clash]) => clash(options))
  if (conflict !== undefined) throw new UserError('usage', conflict[1], { hint: conflict[2] })
}
