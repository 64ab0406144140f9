import { defineDriver } from '../driver.ts'
import { azureOptions } from './options.ts'

/** A host in Microsoft Azure. */
export const azure = defineDriver({
  name: 'azure',
  summary: 'a new host in Microsoft Azure',
  options: azureOptions,
  asks: ['location', 'size', 'image'],
  load: async () => (await import('./driver.ts')).azureDriver(process.env),
})
