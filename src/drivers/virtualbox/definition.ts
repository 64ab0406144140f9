import { defineDriver } from '../driver.ts'
import { virtualBoxOptions } from './options.ts'

/** A virtual machine on this computer, in Oracle VirtualBox. */
export const virtualbox = defineDriver({
  name: 'virtualbox',
  summary: 'a new virtual machine on this computer, in VirtualBox',
  options: virtualBoxOptions,
  asks: ['image', 'cpus', 'memory', 'disk'],
  load: async (folder) => (await import('./driver.ts')).virtualBoxDriver(folder),
})
