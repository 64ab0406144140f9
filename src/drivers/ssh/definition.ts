import * as z from 'zod'
import { hostAddress, loginName, port } from '../../machine/fields.ts'
import { defineDriver } from '../driver.ts'

/** A host that exists, and that fleet neither makes nor destroys. */
export const ssh = defineDriver({
  name: 'ssh',
  summary: 'a host that exists already and is reached over SSH',
  options: z.strictObject({
    address: hostAddress.describe('Host name or IP address.'),
    user: loginName.optional().describe('User to log in as; your own name unless told.'),
    port: port.optional().describe('SSH port; 22 unless told.'),
  }),
  load: async () => (await import('./driver.ts')).sshDriver,
})
