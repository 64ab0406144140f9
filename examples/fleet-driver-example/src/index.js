import { defineDriver } from 'fleet/driver'
import * as z from 'zod'
import { usualEndpoint } from './api.js'

/** Hosts of example-cloud. fleet reads this file for every `fleet create --help`, so it imports little. */
export default defineDriver({
  contract: 2,
  name: 'example',
  summary: 'servers of example-cloud, the provider in provider/',
  options: z.strictObject({
    zone: z.enum(['north', 'south']).describe('Zone of the server'),
    size: z.enum(['small', 'large']).default('small').describe('Size of the server'),
    endpoint: z.url().default(usualEndpoint).describe("Address of the provider's API"),
  }),
  prompts: ['zone', 'size'],
  load: async (_folder, { env }) => (await import('./driver.js')).createDriver(env),
})
