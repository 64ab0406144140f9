import { defineDriver } from '../driver.ts'
import { awsOptions } from './options.ts'

/** A host on Amazon EC2. */
export const aws = defineDriver({
  name: 'aws',
  summary: 'a new host on Amazon EC2',
  options: awsOptions,
  asks: ['region', 'type', 'image'],
  load: async () => (await import('./driver.ts')).awsDriver(process.env),
})
