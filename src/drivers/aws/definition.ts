import { defineDriver } from '../driver.ts'
import { networkGrants } from '../grants.ts'
import { type AwsOptions, awsOptions } from './options.ts'
import { openTunnel } from './tunnel.ts'

/** The driver for hosts on Amazon EC2. */
export const aws = defineDriver({
  name: 'aws',
  summary: 'a new host on Amazon EC2',
  options: awsOptions,
  grants: ({ profile, instanceProfile, ...network }: Partial<AwsOptions>) => [
    ...(profile === undefined ? [] : [{ what: `the AWS profile ${profile} on this computer` }]),
    ...(instanceProfile === undefined
      ? []
      : [
          {
            what: `the IAM instance profile ${instanceProfile}, available to all programs on the host`,
          },
        ]),
    ...networkGrants(network),
  ],
  prompts: ['region', 'type', 'image'],
  tunnel: openTunnel,
  load: async (_folder, { env, ask }) => (await import('./driver.ts')).awsDriver(env, ask),
})
