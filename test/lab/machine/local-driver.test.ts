import { cp, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readVersion } from '../../../src/engine/system.ts'
import { allowPaths } from '../../../src/operations/inventory/grants.ts'
import { createMachine } from '../../../src/operations/create/create-machine.ts'
import { parseMachineName } from '../../../src/machine/name.ts'
import { bootHost } from '../../support/booted-host/booted-host.ts'
import { labIsHere, startLab } from '../../support/lab/lab.ts'
import { makeOperator } from '../../support/operator.ts'
import { program } from '../../support/test-user.ts'

const calls = { progress: () => {}, approve: async () => false }
const name = parseMachineName('me')

test('a local socket without a listener is an error that names it, and nothing is written', async () => {
  await using operator = await makeOperator()
  await using fleet = operator.open()
  const options = { socket: join(operator.home, 'no.sock') }
  await allowPaths(fleet, [options.socket])
  const before = await operator.inventory()
  await expect(
    createMachine(fleet, { name, driver: 'local', options, trust: {} }, calls),
  ).rejects.toMatchObject({ kind: 'failed', message: expect.stringContaining(options.socket) })
  expect(await operator.inventory()).toBe(before)
})

describe.skipIf(!labIsHere)('the engine of this computer', () => {
  test('becomes a machine without an address, at the given socket', async () => {
    await using lab = await startLab({ hosts: 1, engine: true })
    const socket = lab.hosts[0]?.engineSocket ?? ''
    await using operator = await makeOperator()
    await using fleet = operator.open()
    const request = { name, driver: 'local', options: { socket }, trust: {} }
    await expect(createMachine(fleet, request, calls)).rejects.toMatchObject({
      message: expect.stringContaining('not allowed yet'),
    })
    await allowPaths(fleet, [socket])
    const { machine } = await createMachine(fleet, request, calls)
    expect(await operator.machine('me')).toEqual(machine)
    expect(machine).toMatchObject({
      driver: 'local',
      options: { socket },
      host: { phase: 'ready', socket, engine: expect.stringMatching(/^\d/) },
    })
    expect(machine.host).not.toHaveProperty('address')
    const { Version } = await readVersion(await fleet.engine(machine))
    expect(Version).toBe(machine.host.engine)
    await expect(
      createMachine(fleet, { ...request, name: parseMachineName('again') }, calls),
    ).rejects.toMatchObject({
      message: expect.stringContaining('already in the inventory as machine me'),
    })
  })

  test('is installed if missing, even without an init system', async () => {
    await using host = await bootHost({ init: 'none' })
    const folder = join(host.root, 'opt/fleet')
    await mkdir(folder)
    await cp(process.execPath, join(folder, 'node'))
    await cp(dirname(program), join(folder, 'dist'), { recursive: true })
    const fleet = (line: string) =>
      host.exec(`cd /root && HOME=/root /opt/fleet/node /opt/fleet/dist/main.js ${line}`)
    expect(await fleet('init')).toMatchObject({ code: 0 })

    const missing = await fleet('create me --driver local')
    expect(missing).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('--install-engine'),
    })
    const unconfirmed = await fleet('create me --driver local --install-engine')
    expect(unconfirmed).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('install docker.io'),
    })
    expect((await host.exec('command -v dockerd')).code).not.toBe(0)

    const created = await fleet('create me --driver local --install-engine --yes')
    expect(created).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('will not start again after a reboot'),
    })
    const { stdout } = await fleet('inspect me --json')
    expect(stdout).toContain('"engine"')
    expect((await host.exec('docker version')).code).toBe(0)
  })
})
