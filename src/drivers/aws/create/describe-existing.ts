import { UserError } from '../../../errors.ts'
import type { ExistingHost } from '../../driver.ts'
import type { Ec2 } from '../api/ec2-api.ts'
import { addressOf, byId, findInstances, isAlive } from './instance.ts'
import { type AwsOptions, awsOptions } from '../options.ts'
import { recordedReach } from './reach-option.ts'

/**
 * See `Driver.describeExisting`. EC2 does not know the login user, so the default is used unless the options set
 * another one.
 */
export async function describeExistingInstance(
  ec2: Ec2,
  id: string,
  options: Partial<AwsOptions>,
): Promise<ExistingHost> {
  const { region, profile } = ec2
  const { privateOnly = false, user = awsOptions.shape.user.parse(undefined) } = options
  const access = privateOnly ? 'private' : 'public'
  const [instance] = await findInstances(ec2, byId(id))
  if (instance === undefined || !isAlive(instance)) {
    throw new UserError('usage', `there is no instance ${id} in ${region}`, {
      hint: 'check the ID; if the instance is in another region or account, use --region or --profile',
    })
  }
  const address = addressOf(instance, access)
  if (address === undefined) {
    const next = [
      ...(instance.state.startsWith('stop') ? ['start the instance'] : []),
      ...(privateOnly ? [] : ['use --private-only to connect to the private address']),
    ]
    throw new UserError(
      'usage',
      `instance ${id} has no ${access} address (state: ${instance.state})`,
      { hint: next.join(', or ') || undefined },
    )
  }
  const reach = recordedReach(options)
  const resources = {
    ...{ region, access },
    ...(profile !== undefined && { profile }),
    ...(reach !== undefined && { reach }),
  }
  const { type } = instance
  return { id, address, user, resources, options: { region, ...(type !== undefined && { type }) } }
}
