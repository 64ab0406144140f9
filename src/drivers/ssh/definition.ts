import * as z from 'zod'
import { hostAddress, loginName, port } from '../../machine/fields.ts'
import { defineDriver } from '../driver.ts'

/** The driver for existing hosts, which fleet neither creates nor deletes. */
export const ssh = defineDriver({
  name: 'ssh',
  summary: 'an existing host reached over SSH',
  options: z.strictObject({
    address: hostAddress.describe('Host name or IP address'),
    user: loginName.optional().describe('User to log in as (default: your user name)'),
    port: port.optional().describe('SSH port (default: 22)'),
  }),
  load: async () => (await import('./driver.ts')).sshDriver,
})
