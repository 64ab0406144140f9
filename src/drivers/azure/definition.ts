import { defineDriver } from '../driver.ts'
import { networkGrants } from '../grants.ts'
import { type AzureOptions, azureOptions } from './options.ts'
import { openTunnel } from './tunnel.ts'

/** The driver for hosts in Microsoft Azure. */
export const azure = defineDriver({
  name: 'azure',
  summary: 'a new host in Microsoft Azure',
  options: azureOptions,
  grants: ({ managedIdentity, ...network }: Partial<AzureOptions>) => [
    ...(managedIdentity === undefined
      ? []
      : [
          {
            what: `the managed identity ${managedIdentity}, available to all programs on the host`,
          },
        ]),
    ...networkGrants(network),
  ],
  tunnel: openTunnel,
  prompts: ['location', 'size', 'image'],
  load: async (_folder, { env }) => (await import('./driver.ts')).azureDriver(env),
})
