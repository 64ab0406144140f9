import { defineDriver } from '../driver.ts'
import { qemuOptions } from './options.ts'

/** A virtual machine on this computer, run by QEMU. */
export const qemu = defineDriver({
  name: 'qemu',
  summary: 'a new virtual machine on this computer, run by QEMU',
  options: qemuOptions,
  load: async (folder) => (await import('./driver.ts')).qemuDriver(folder),
})
