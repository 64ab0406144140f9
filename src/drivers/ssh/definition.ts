import * as z from 'zod'
import { defineDriver } from '../driver.ts'

/** A host that exists, and that fleet neither makes nor destroys. */
export const ssh = defineDriver({
  name: 'ssh',
  summary: 'a host that exists already and is reached over SSH',
  options: z.strictObject({
    address: z
      .string()
      .regex(/^[^\s@/]+$/, 'expected a host name or an IP address')
      .describe('Host name or IP address.'),
    user: z
      .string()
      .regex(/^[^\s@:/]+$/, 'expected a user name')
      .optional()
      .describe('User to log in as; your own name unless told.'),
    port: z.int().min(1).max(65_535).optional().describe('SSH port; 22 unless told.'),
  }),
  load: async () => (await import('./driver.ts')).sshDriver,
})
