import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { virtualBoxDriver } from '../../../src/drivers/virtualbox/driver.ts'
import { finish } from '../../support/lab/process.ts'
import { guestBuildTime, guestIsHere } from '../../support/small-guest.ts'
import { fleet, leftIn, makeGuest, quietCall } from '../../support/virtualbox/make-guest.ts'
import { type VirtualBox, startVirtualBox } from '../../support/virtualbox/virtualbox.ts'

const runner = join(import.meta.dirname, '../../../scripts/run-ts.mjs')
const support = (name: string): string =>
  fileURLToPath(new URL(`../../support/virtualbox/${name}`, import.meta.url))

/** Number of concurrent crash tests, which mostly wait for the locks of dead processes. */
const atOnce = 8

/** The point at which a creation is killed, and whether it is repeated before the removal. */
interface CrashPoint {
  /** `step 3`, or `before 1` or `after 7`, which count the VBoxManage calls that change something. */
  readonly place: string
  readonly again: boolean
}

let box: VirtualBox

/** Creates a machine in a process that is killed, repeats the creation if `again` is set, and removes the machine. */
async function crash({ place, again }: CrashPoint) {
  const folder = join(box.folder, place.replace(' ', '-'))
  const [token, calls] = [randomUUID(), `${folder}.calls`]
  const [bin] = box.env['PATH']?.split(':') ?? []
  const env = {
    ...process.env,
    PATH: `${join(box.folder, 'trap')}:${process.env['PATH']}`,
    FLEET_TEST_VBOX: `${bin}/VBoxManage`,
    FLEET_TEST_CALLS: calls,
    FLEET_TEST_KILL_AT: place,
  }
  const [, step = '0'] = /^step (\d+)$/.exec(place) ?? []
  const words = [runner, support('making.ts'), folder, await box.image('vmdk'), token, step]
  const first = await finish(spawn(process.execPath, words, { stdio: 'ignore', env }))
  const driver = virtualBoxDriver(folder, process.env)
  if (again) await makeGuest(driver, box, { token, format: 'vmdk' })
  const found = await driver.lifecycle?.list({ id: fleet, options: [] }, quietCall)
  const made = found?.filter((host) => host.token === token).length
  await driver.lifecycle?.remove({ phase: 'creating', token }, quietCall)
  const log = await readFile(calls, 'utf8').catch(() => '')
  const left = await leftIn(box, folder)
  return { place, again, died: first.code === -1, made, left, calls: log.trim().split('\n') }
}

describe.skipIf(!guestIsHere)('a machine in VirtualBox', () => {
  beforeAll(async () => {
    box = await startVirtualBox()
    Object.assign(process.env, box.env)
    await mkdir(join(box.folder, 'trap'))
    await symlink(support('VBoxManage-trap.sh'), join(box.folder, 'trap', 'VBoxManage'))
  }, guestBuildTime)
  afterAll(() => box[Symbol.asyncDispose]())

  test('is finished or removed by the next command after a SIGKILL at any step', async () => {
    const { calls, ...whole } = await crash({ place: 'nowhere', again: false })
    expect(whole).toMatchObject({ died: false, made: 1, left: [] })
    const kill = calls.findIndex((call) => call.endsWith('poweroff'))
    const numbers = Array.from({ length: kill }, (_, index) => index + 1)
    const points: CrashPoint[] = [
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((step) => ({ place: `step ${step}`, again: step % 2 === 0 })),
      { place: 'before 1', again: true }, // killing before a later call is the same as killing after the previous one
      ...numbers.map((number) => ({ place: `after ${number}`, again: number % 2 === 1 })),
    ]
    const rows: Awaited<ReturnType<typeof crash>>[] = []
    const work = async (): Promise<void> => {
      for (let point = points.pop(); point !== undefined; point = points.pop()) {
        rows.push(await crash(point))
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    const isRight = (row: (typeof rows)[number]): boolean =>
      row.died && row.left.length === 0 && (row.made === 1 || !row.again)
    expect(rows.filter((row) => !isRight(row))).toEqual([])
    expect(rows.length).toBeGreaterThan(25)
  })
})
