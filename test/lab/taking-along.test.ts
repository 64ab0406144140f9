import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Lab, labIsHere, startLab } from '../support/lab/lab.ts'
import { makePerson } from '../support/person.ts'
import { hostOf } from '../support/ssh-target.ts'

let lab: Lab

describe.skipIf(!labIsHere)('hosts that other tools keep', () => {
  beforeAll(async () => {
    lab = await startLab({ hosts: 2 })
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())

  test('of Docker Machine come with their keys, on consent to their host keys, and nothing secret', async () => {
    await using person = await makePerson()
    const store = join(person.home, '.docker/machine')
    const host = hostOf(lab)
    const folder = join(store, 'machines/old')
    await mkdir(folder, { recursive: true })
    await copyFile(lab.identity.file, join(folder, 'id_rsa'))
    const driver = {
      ...{ IPAddress: host.address, SSHUser: host.user, SSHPort: host.port, MachineName: 'old' },
      ...{ AccessKey: `AKIA${'A'.repeat(16)}`, SecretKey: 'hunter2' },
    }
    await writeFile(
      join(folder, 'config.json'),
      JSON.stringify({ ConfigVersion: 3, DriverName: 'amazonec2', Driver: driver, Name: 'old' }),
    )
    const refused = await person.fleet(['import', 'docker-machine'])
    expect(refused.code).toBe(5)
    expect(refused.stderr).toContain('nothing vouches for the key')
    expect(await person.inventory()).not.toContain('old')

    const taken = await person.fleet(['import', 'docker-machine', '--accept-new', '-l', 'from=dm'])
    expect(taken).toMatchObject({ code: 0 })
    const inventory = await person.inventory()
    expect(inventory).toContain(host.hostKey)
    expect(inventory).not.toMatch(/AKIA|hunter2|PRIVATE/)
    await rm(store, { recursive: true })
    const answer = await person.fleet(['ssh', 'old', '--', 'echo', 'in'])
    expect(answer).toMatchObject({ code: 0, stdout: 'in\n' })
  })

  test('of ssh come by their aliases, each once', async () => {
    await using person = await makePerson({ identity: lab.identity.file })
    const [one, two] = [hostOf(lab, 1), hostOf(lab, 2)]
    const config = [one, two]
      .map(({ address, user }, index) => `Host h${index}\n  HostName ${address}\n  User ${user}\n`)
      .join('')
    const file = join(person.home, 'hosts.conf')
    await writeFile(file, `${config}Host *\n  Compression yes\n`)
    const args = ['import', 'ssh-config', file, '--accept-new']
    expect(await person.fleet(args)).toMatchObject({ code: 0 })
    expect((await person.fleet(['ls', '-q'])).stdout).toBe('h0\nh1\n')
    const again = await person.fleet(args)
    expect(again).toMatchObject({ code: 0, stderr: 'h0: there already\nh1: there already\n' })
  })
})
