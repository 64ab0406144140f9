import { UserError } from '../../../errors.ts'
import type { Environment } from '../../../os/environment.ts'
import { findProgram } from '../../../os/find-program.ts'
import type { AwsOptions } from '../options.ts'
import { neededPrograms } from '../tunnel.ts'

/** Returns the value of `reach` to record; `undefined` for a host that fleet connects to directly at its address. */
export const recordedReach = ({ reach }: Pick<AwsOptions, 'reach'>): string | undefined =>
  reach === 'direct' ? undefined : reach

/**
 * Throws kind `unsupported` if this computer lacks a program required for connections to the host. Called before the
 * host exists and costs money.
 */
export async function checkPrograms(
  { reach = 'direct' }: Pick<AwsOptions, 'reach'>,
  env: Environment,
): Promise<void> {
  if (reach === 'direct') return
  for (const [program, hint] of neededPrograms[reach]) {
    if ((await findProgram(program, env)) !== undefined) continue
    throw new UserError('unsupported', `--reach ${reach} requires the ${program} program`, { hint })
  }
}

/** Returns notes on requirements of `reach` that cannot be checked before the host exists. */
export function reachNotes({ reach, instanceProfile }: AwsOptions): readonly string[] {
  if (reach === 'eice') {
    return ['SSH uses an EC2 Instance Connect Endpoint, which must already exist in the VPC']
  }
  if (reach !== 'ssm') return []
  return [
    'SSH uses Session Manager: the host must have a route to Systems Manager (NAT or VPC endpoints)',
    instanceProfile === undefined
      ? 'without --instance-profile, Session Manager can reach the host only if Default Host Management Configuration is enabled in the region'
      : `the role in the instance profile ${instanceProfile} must have the AmazonSSMManagedInstanceCore policy`,
  ]
}
