import { UserError } from '../../../errors.ts'
import type { AwsOptions } from '../options.ts'

const conflicts: readonly (readonly [
  clash: (options: AwsOptions) => boolean,
  message: string,
  hint: string,
])[] = [
  [
    ({ privateOnly, elasticIp }) => privateOnly && elasticIp,
    'a host with --private-only has no place for an --elastic-ip',
    'leave one of them out',
  ],
  [
    ({ securityGroups, ports, sshCidr }) =>
      securityGroups !== undefined && (ports !== undefined || sshCidr !== undefined),
    'fleet does not change --security-groups of yours, so --ports and --ssh-cidr have no effect with them',
    'open the ports in your groups, or leave --security-groups out',
  ],
  [
    ({ spot, terminationProtection }) => spot !== 'never' && terminationProtection,
    'EC2 has no --termination-protection for spot instances',
    'leave it out, or say --spot never',
  ],
  [
    ({ privateOnly, securityGroups, sshCidr }) =>
      privateOnly && securityGroups === undefined && sshCidr === undefined,
    'nobody can tell from which address you reach a host with --private-only',
    'say it: --ssh-cidr 10.0.0.0/8, for example',
  ],
]

/** Throws kind `usage` where options contradict each other. */
export function checkWishes(options: AwsOptions): void {
  const conflict = conflicts.find(([clash]) => clash(options))
  if (conflict !== undefined) throw new UserError('usage', conflict[1], { hint: conflict[2] })
}
