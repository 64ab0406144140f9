import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TestUser, makeTestUser } from '../../support/test-user.ts'
import { guestBuildTime, guestIsHere } from '../../support/small-guest.ts'
import { type VirtualBox, startVirtualBox } from '../../support/virtualbox/virtualbox.ts'

// The small guest reads no multipart user-data, so login is impossible; test/lab/virtualbox/driver.test.ts logs in.
describe.skipIf(!guestIsHere)('fleet create --driver virtualbox', () => {
  let box: VirtualBox
  let user: TestUser
  let words: readonly string[]
  beforeAll(async () => {
    box = await startVirtualBox()
    user = await makeTestUser()
    const small = ['--memory', '256', '--cpus', '1', '--disk', '1', '--no-engine']
    const image = await box.image('vmdk')
    words = ['create', 'dev', '--driver', 'virtualbox', '--image', image, ...small]
  }, guestBuildTime)
  afterAll(async () => {
    await user[Symbol.asyncDispose]()
    await box[Symbol.asyncDispose]()
  })

  test('reports how to install VirtualBox if it is missing', async () => {
    const { code, stderr } = await user.fleet(words, { env: { PATH: '/nowhere' } })
    expect(code).not.toBe(0)
    expect(stderr).toContain('VirtualBox is not installed on this computer')
    expect(stderr).toContain('sudo apt-get install virtualbox')
  })

  test('creates a machine and waits for it; after an interruption, rm removes it completely', async () => {
    const env = box.env
    const { stderr } = await user.fleet(words, {
      env,
      said(text, pid) {
        if (text.includes('wait for SSH')) process.kill(pid, 'SIGINT')
      },
    })
    expect(stderr).toContain('wait for SSH')
    expect(await box.manage('list', 'runningvms')).toMatch(/^"dev-[0-9a-f]{8}" /m)
    const removed = await user.fleet(['rm', '-y', 'dev'], { env })
    expect(removed).toMatchObject({ code: 0 })
    expect([await box.manage('list', 'vms'), await box.manage('list', 'hdds')]).toEqual(['', ''])
  })
})
