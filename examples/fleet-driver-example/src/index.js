import { defineDriver } from 'fleet/driver'
import * as z from 'zod'
import { usualEndpoint } from './api.js'

/** Hosts of example-cloud. What stands here is read at every `fleet create --help`, so it loads little. */
export default defineDriver({
  contract: 1,
  name: 'example',
  summary: 'servers of example-cloud, the provider in provider/',
  options: z.strictObject({
    zone: z.enum(['north', 'south']).describe('Where the server is to be.'),
    size: z.enum(['small', 'large']).default('small').describe('How big it is.'),
    endpoint: z.url().default(usualEndpoint).describe('Where the API of the provider answers.'),
  }),
  prompts: ['zone', 'size'],
  load: async () => (await import('./driver.js')).createDriver(process.env),
})
