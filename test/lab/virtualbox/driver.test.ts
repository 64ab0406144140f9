import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Driver } from '../../../src/drivers/driver.ts'
import { parseFields } from '../../../src/drivers/virtualbox/parse-output.ts'
import { virtualBoxDriver } from '../../../src/drivers/virtualbox/driver.ts'
import { macAddressOf } from '../../../src/drivers/virtualbox/host-only.ts'
import type { VirtualBoxOptions } from '../../../src/drivers/virtualbox/options.ts'
import { UserError } from '../../../src/errors.ts'
import type { HostRecord } from '../../../src/machine/machine.ts'
import type { MachineName } from '../../../src/machine/name.ts'
import { run } from '../../../src/transport/run.ts'
import { connectSsh } from '../../../src/transport/ssh/connect.ts'
import { finish, runProgram } from '../../support/lab/process.ts'
import { guestBuildTime, guestIsHere } from '../../support/small-guest.ts'
import {
  type Guest,
  fleet,
  leftIn,
  makeGuest,
  quietCall,
  smallOptions,
} from '../../support/virtualbox/make-guest.ts'
import { type VirtualBox, startVirtualBox } from '../../support/virtualbox/virtualbox.ts'

const runner = join(import.meta.dirname, '../../../scripts/run-ts.mjs')
const making = fileURLToPath(new URL('../../support/virtualbox/making.ts', import.meta.url))

/** Maximum boot time of an emulated machine, in milliseconds; on an idle computer, it boots in a minute. */
const bootTime = 1_200_000

let box: VirtualBox
let folder: string
let driver: Driver<VirtualBoxOptions>

/** Runs one command on a new connection, because the guest's sshd supports only one session per connection. */
async function on({ facts, seed }: Guest, ...command: string[]): Promise<string> {
  const file = join(box.folder, `${facts.id}.key`)
  await writeFile(file, seed.login.privateKey, { mode: 0o600 })
  const { address = '', port = 0, user = '' } = facts
  const login = { address, port, user, hostKeys: [seed.hostKey.publicKey], identityFiles: [file] }
  const { signal } = quietCall
  for (const deadline = Date.now() + bootTime; ;) {
    try {
      await using transport = await connectSsh(
        { machine: 'guest', ...login },
        { signal, env: {}, connectTimeoutMs: 60_000, loginTimeoutMs: 300_000 },
      )
      return (await run(transport, command, { signal })).stdout.trim()
    } catch (error) {
      const waits = error instanceof UserError && error.kind === 'unreachable'
      if (!waits || Date.now() > deadline) throw error
    }
  }
}

const state = async (record: HostRecord): Promise<string | undefined> =>
  (await driver.observe(new Map([['m' as MachineName, record]]), quietCall)).get('m' as MachineName)
    ?.state

const remove = async (record: HostRecord, by = driver): Promise<void> =>
  by.lifecycle?.remove(record, quietCall)

/** Creates a VBoxManage that emulates a host-only network and passes other calls on. Resolves to its directory. */
async function standIn(path: string): Promise<string> {
  const place = join(box.folder, 'stand-in')
  const real = join(path.split(':')[0] ?? '', 'VBoxManage')
  await mkdir(place)
  await writeFile(
    join(place, 'VBoxManage'),
    `#!/bin/sh
case "$1 $2" in
  'list hostonlyifs') exit 0 ;;
  'hostonlyif create') echo "Interface 'vboxnet0' was successfully created" && exit ;;
  'hostonlyif ipconfig') [ "$*" = 'hostonlyif ipconfig vboxnet0 --ip=192.168.56.1 --netmask=255.255.255.0' ]; exit ;;
  'dhcpserver add') echo 'VBoxManage: error: DHCP server already exists' >&2; exit 1 ;;
esac
exec ${real} "$@"
`,
    { mode: 0o755 },
  )
  return place
}

describe.skipIf(!guestIsHere)('a machine in VirtualBox', () => {
  beforeAll(async () => {
    box = await startVirtualBox()
    Object.assign(process.env, box.env)
    folder = join(box.folder, 'driver')
    driver = virtualBoxDriver(folder, process.env)
  }, guestBuildTime)
  afterAll(() => box[Symbol.asyncDispose]())

  test('accepts its user, and keeps its port, its disk and, with a snapshot, its memory', async () => {
    const guest = await makeGuest(driver, { image: (format) => box.bootableImage(format) })
    const { record, facts } = guest
    const { id = '' } = facts
    expect(await on(guest, 'sh', '-c', 'id -un; echo kept >kept; echo warm >/tmp/warm; sync')).toBe(
      'fleet',
    )
    await driver.snapshots?.save(record, 'warm', quietCall)
    await driver.power?.stop(record, quietCall)
    expect(await state(record)).toBe('stopped')
    await box.manage('modifyvm', id, '--name', 'renamed by hand')
    await driver.power?.start(record, quietCall)
    expect(await state(record)).toBe('running')
    await driver.snapshots?.restore(record, 'warm', quietCall)
    expect(await on(guest, 'sh', '-c', 'cat kept /tmp/warm')).toBe('kept\nwarm')
    const found = await driver.lifecycle?.list({ id: fleet, options: [] }, quietCall)
    expect(found?.map(({ token, parts }) => [token, parts])).toEqual([
      [record.token, ['machine renamed by hand (running)']],
    ])
    await remove(record)
    expect(await state(record)).toBe('absent')
    expect(await leftIn(box, folder)).toEqual([])
  })

  test('starts from any state that VirtualBox can put it into', async () => {
    const { record, facts } = await makeGuest(driver, box)
    const { id = '' } = facts
    await box.manage('controlvm', id, 'pause')
    expect(await state(record)).toBe('paused')
    await driver.power?.start(record, quietCall)
    expect(await state(record)).toBe('running')
    await box.manage('controlvm', id, 'savestate')
    expect(await state(record)).toBe('stopped')
    await driver.power?.start(record, quietCall)
    expect(await state(record)).toBe('running')
    box.crash(id)
    await expect.poll(() => state(record)).toBe('stopped')
    await driver.power?.start(record, quietCall)
    expect(await state(record)).toBe('running')
    await remove(record)
    expect(await leftIn(box, folder)).toEqual([])
  })

  test('is a clone: a second one needs little space, and survives the removal of the first', async () => {
    const first = await makeGuest(driver, box)
    await driver.power?.kill(first.record, quietCall)
    const second = await makeGuest(driver, box)
    await driver.power?.kill(second.record, quietCall)
    const { blocks } = await stat(join(folder, 'machines', second.facts.id ?? '', 'disk.vdi'))
    console.log(`a second machine: ${(blocks * 512) / 1024} KiB`)
    expect(blocks * 512).toBeLessThan(8 * 2 ** 20)
    await remove(first.record)
    await driver.power?.start(second.record, quietCall)
    expect(await state(second.record)).toBe('running')
    await remove(second.record)
    expect(await leftIn(box, folder)).toEqual([])
  })

  test.each(['raw', 'vdi', 'vmdk'] as const)(
    'starts from a %s image, with the requested hardware',
    async (format) => {
      const options = {
        ...smallOptions,
        ...{ memory: 320, cpus: 2, disk: 3, shares: `src=${box.folder}` },
      }
      const { record, facts } = await makeGuest(driver, box, { format, options })
      await driver.power?.kill(record, quietCall)
      const text = await box.manage('showvminfo', facts.id ?? '', '--machinereadable')
      const settings = parseFields(text)
      const read = ['memory', 'cpus', 'SharedFolderPathMachineMapping1']
      expect(read.map((key) => settings.get(key))).toEqual(['320', '2', box.folder])
      const disk = await box.manage('showmediuminfo', 'disk', settings.get('Disks-0-0') ?? '')
      expect(disk).toMatch(/^Capacity: +3072 MBytes$/m)
      await remove(record)
      expect(await leftIn(box, folder)).toEqual([])
    },
  )

  test('can be enlarged while it is stopped, and keeps the content of its disk', async () => {
    const { record, facts } = await makeGuest(driver, box)
    await driver.power?.kill(record, quietCall)
    const options = {
      ...smallOptions,
      ...{ memory: 320, cpus: 2, disk: 2, shares: `src=${box.folder}` },
    }
    const differences = async (host: HostRecord) => {
      const statuses = await driver.observe(new Map([['m' as MachineName, host]]), quietCall)
      const [status] = [...statuses.values()]
      if (status === undefined) throw new Error('no status')
      return driver.update?.compare(host, options, status, quietCall)
    }
    const found = (await differences(record))?.map(({ option, how }) => [option, how]) ?? []
    expect(found).toEqual(['cpus', 'memory', 'disk', 'shares'].map((option) => [option, 'stop']))
    const only = new Set(found.map(([option = '']) => option))
    const made = await driver.update?.change(record, { options, only }, quietCall)
    expect(made).toEqual({ disk: '2' })
    const resources = { ...record.resources, disk: '2' }
    expect(await differences({ ...record, resources })).toEqual([])
    await driver.power?.start(record, quietCall)
    expect(await state(record)).toBe('running')
    await driver.power?.kill(record, quietCall)
    const text = await box.manage('showvminfo', facts.id ?? '', '--machinereadable')
    const copy = join(box.folder, 'copy.raw')
    const disk = parseFields(text).get('Disks-0-0') ?? ''
    await box.manage('clonemedium', 'disk', disk, copy, '--format', 'RAW')
    await box.manage('closemedium', 'disk', copy)
    expect((await stat(copy)).size).toBe(2 * 2 ** 30)
    const image = await box.image('raw')
    await runProgram(['cmp', '--bytes', String((await stat(image)).size), image, copy])
    await remove(record)
    expect(await leftIn(box, folder)).toEqual([])
  })

  test('reports that its port is in use, and starts once the port is free', async () => {
    const { record, facts } = await makeGuest(driver, box)
    await driver.power?.kill(record, quietCall)
    const squatter = createServer().listen(facts.port, '127.0.0.1')
    await once(squatter, 'listening')
    await expect(driver.power?.start(record, quietCall)).rejects.toThrow(`port ${facts.port}`)
    squatter.close()
    await once(squatter, 'close')
    await driver.power?.start(record, quietCall)
    expect(await state(record)).toBe('running')
    await remove(record)
  })

  test('reports a missing host-only network, and gets its network card once there is one', async () => {
    const options = { ...smallOptions, hostOnly: true }
    const token = randomUUID()
    const make = () => makeGuest(driver, box, { token, options })
    await expect(make()).rejects.toMatchObject({
      kind: 'failed',
      hint: expect.stringContaining('vboxnetadp') as string,
    })
    const { PATH = '' } = box.env
    process.env['PATH'] = `${await standIn(PATH)}:${PATH}`
    try {
      // Without the kernel driver, no machine can run on such a network here.
      await expect(make()).rejects.toThrow("Nonexistent host networking interface, name 'vboxnet0'")
    } finally {
      process.env['PATH'] = PATH
    }
    const settings = parseFields(await box.manage('showvminfo', token, '--machinereadable'))
    const card = ['nic2', 'hostonlyadapter2', 'macaddress2'].map((key) => settings.get(key))
    expect(card).toEqual(['hostonly', 'vboxnet0', macAddressOf(token, 2).toUpperCase()])
    await remove({ phase: 'creating', token })
    expect(await leftIn(box, folder)).toEqual([])
  })

  test('is one of ten that ten processes create concurrently', async () => {
    const shared = join(box.folder, 'ten')
    const image = await box.image('vmdk')
    const tokens = Array.from({ length: 10 }, () => randomUUID())
    const ends = await Promise.all(
      tokens.map((token) => {
        const words = [runner, making, shared, image, token]
        return finish(spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] }))
      }),
    )
    expect(ends.map(({ stderr }) => stderr)).toEqual(tokens.map(() => ''))
    expect(new Set(ends.map(({ stdout }) => stdout)).size).toBe(10)
    const by = virtualBoxDriver(shared, process.env)
    const found = await by.lifecycle?.list({ id: fleet, options: [] }, quietCall)
    expect(found?.map(({ token }) => token).toSorted()).toEqual(tokens.toSorted())
    await Promise.all(tokens.map((token) => remove({ phase: 'ready', token }, by)))
    expect(await leftIn(box, shared)).toEqual([])
  })
})
