import { defineDriver } from '../driver.ts'
import { folderGrants, imageGrants } from '../grants.ts'
import { type QemuOptions, qemuOptions } from './options.ts'

/** The driver for virtual machines that QEMU runs on this computer. */
export const qemu = defineDriver({
  name: 'qemu',
  summary: 'a new QEMU virtual machine on this computer',
  isFree: true,
  options: qemuOptions,
  grants: ({ image, shares }: Partial<QemuOptions>) => [
    ...imageGrants(image),
    ...folderGrants(shares),
  ],
  load: async (folder, { env }) => (await import('./driver.ts')).qemuDriver(folder, env),
})
