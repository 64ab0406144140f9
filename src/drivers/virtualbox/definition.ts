import { defineDriver } from '../driver.ts'
import { folderGrants, imageGrants } from '../grants.ts'
import { type VirtualBoxOptions, virtualBoxOptions } from './options.ts'

/** The driver for Oracle VirtualBox virtual machines on this computer. */
export const virtualbox = defineDriver({
  name: 'virtualbox',
  summary: 'a new VirtualBox virtual machine on this computer',
  isFree: true,
  options: virtualBoxOptions,
  grants: ({ image, shares }: Partial<VirtualBoxOptions>) => [
    ...imageGrants(image),
    ...folderGrants(shares),
  ],
  prompts: ['image', 'cpus', 'memory', 'disk'],
  load: async (folder, { env }) => (await import('./driver.ts')).virtualBoxDriver(folder, env),
})
