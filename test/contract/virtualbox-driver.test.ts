import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import type { Driver } from '../../src/drivers/driver.ts'
import { parseExtraData, parseIds } from '../../src/drivers/virtualbox/parse-output.ts'
import { checkRecords } from '../../src/drivers/check-records.ts'
import { virtualbox } from '../../src/drivers/virtualbox/definition.ts'
import { virtualBoxDriver } from '../../src/drivers/virtualbox/driver.ts'
import type { VirtualBoxOptions } from '../../src/drivers/virtualbox/options.ts'
import { guestBuildTime, guestIsHere, seedGuest } from '../support/small-guest.ts'
import { makeGuest, quietCall, smallOptions } from '../support/virtualbox/make-guest.ts'
import { type VirtualBox, startVirtualBox } from '../support/virtualbox/virtualbox.ts'
import { describeDriver } from './driver.ts'

describe.skipIf(!guestIsHere)('in VirtualBox', () => {
  let box: VirtualBox
  let image: string
  let driver: Driver<VirtualBoxOptions>
  beforeAll(async () => {
    box = await startVirtualBox()
    image = await box.image('qcow2')
    Object.assign(process.env, box.env)
    // No guest boots far enough to react to the power button, so do not wait long for a shutdown.
    driver = virtualBoxDriver(join(box.folder, 'driver'), process.env, { shutDownWithin: 1500 })
    // A guest of another fleet, made first so that the image is converted only once.
    const { record } = await makeGuest(driver, box)
    await driver.power?.kill(record, quietCall)
  }, guestBuildTime)
  afterAll(() => box[Symbol.asyncDispose]())

  describeDriver({
    definition: { ...virtualbox, load: async () => checkRecords(driver) },
    lifecycle: {
      options: smallOptions,
      changes: { memory: 320, disk: 2 },
      bootstrapData: async ({ user }) => seedGuest(image, user),
      async listResources() {
        const list = await box.manage('list', 'vms')
        const ids = parseIds(list.replaceAll(/^"fleet-base-.*$/gm, '')) // base machines hold the shared disk images
        return Promise.all(
          ids.map(async (id) => {
            const tags = parseExtraData(await box.manage('getextradata', id, 'enumerate'))
            return { id, tags }
          }),
        )
      },
    },
  })
})
