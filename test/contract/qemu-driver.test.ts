import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { checkRecords } from '../../src/drivers/check-records.ts'
import { qemu } from '../../src/drivers/qemu/definition.ts'
import { qemuDriver } from '../../src/drivers/qemu/driver.ts'
import { guestBuildTime, guestIsHere, seedGuest, smallGuest } from '../support/small-guest.ts'
import { describeDriver } from './driver.ts'

describe.skipIf(!guestIsHere)('on this computer', () => {
  let folder: string
  let image: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleet-qemu-'))
    image = await smallGuest()
  }, guestBuildTime)
  afterAll(() => rm(folder, { recursive: true }))

  describeDriver({
    definition: { ...qemu, load: async () => checkRecords(qemuDriver(folder, process.env)) },
    lifecycle: {
      options: { accelerator: 'tcg', memory: 128, cpus: 1, disk: 1 },
      changes: { memory: 192, disk: 2 },
      bootstrapData: async ({ user }) => seedGuest(image, user),
      async listResources() {
        const hosts = join(folder, 'hosts')
        const ids = (await readdir(hosts).catch(() => [])).filter((id) => !id.endsWith('.lock'))
        return Promise.all(
          ids.map(async (id) => {
            const text = await readFile(join(hosts, id, 'host.json'), 'utf8')
            return { id, tags: (JSON.parse(text) as { tags: Record<string, string> }).tags }
          }),
        )
      },
    },
  })
})
