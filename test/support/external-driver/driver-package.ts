import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Copies zod below `folder`, as `npm install` does for a driver that depends on it. */
export const installZod = (folder: string): Promise<void> =>
  cp(join(import.meta.dirname, '../../../node_modules/zod'), join(folder, 'node_modules/zod'), {
    recursive: true,
  })

/** Installs the package `fleet-driver-NAME` below `folder`; its only module contains `code`. */
export async function installDriver(folder: string, name: string, code: string): Promise<string> {
  const place = join(folder, 'node_modules', `fleet-driver-${name}`)
  await mkdir(place, { recursive: true })
  const manifest = {
    name: `fleet-driver-${name}`,
    version: '1.2.3',
    type: 'module',
    exports: { import: './driver.js' },
    dependencies: { zod: '^4.0.0' },
  }
  await writeFile(join(place, 'package.json'), JSON.stringify(manifest))
  await writeFile(join(place, 'driver.js'), code)
  return place
}

/** Returns the code of a driver whose options are a zone, a size and a tier. */
export const zoneDriver = (name: string): string => `
import * as z from 'zod'
export default {
  contract: 2,
  name: '${name}',
  summary: 'hosts of a zone, for a test',
  options: z.strictObject({
    zone: z.string().describe('Zone'),
    bootSize: z.int().min(1).default(3).describe('Size in GB'),
    tier: z.enum(['small', 'large']).optional().describe('Size'),
  }),
  load: async () => ({
    locate: async (name, { zone }) => ({ address: name + '.' + zone + '.example', user: 'ops' }),
    observe: async (hosts) => new Map([...hosts.keys()].map((name) => [name, { state: 'unknown' }])),
  }),
}
`
