import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HostRecord } from '../../../src/machine/machine.ts'
import { parseMachineName } from '../../../src/machine/name.ts'
import { packUserData, writeUserData } from '../../../src/provision/cloud-init/user-data.ts'
import { run } from '../../../src/transport/run.ts'
import { connectSsh } from '../../../src/transport/ssh/connect.ts'
import { makeKeyPair } from '../../../src/transport/ssh/login/key-pair.ts'
import type { HostSource } from '../../support/aws/hosts/hosts.ts'
import { makeLabHosts } from '../../support/aws/hosts/lab-hosts.ts'
import { hostsBehind } from '../../support/azure/computers.ts'
import { type DriverSeat, newAttempt, seatDriver } from '../../support/azure/driver-seat.ts'
import { labIsHere } from '../../support/lab/lab.ts'

const machine = parseMachineName('web-1')

describe.skipIf(!labIsHere)('a virtual machine with a lab host', () => {
  let hosts: HostSource
  let seat: DriverSeat
  let folder: string

  beforeAll(async () => {
    hosts = await makeLabHosts({ engine: true })
    seat = await seatDriver(hostsBehind(hosts))
    folder = await mkdtemp(join(tmpdir(), 'azure-host-'))
  })
  afterAll(async () => {
    await seat[Symbol.asyncDispose]()
    await hosts[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  const addressOf = async (host: HostRecord) => {
    const statuses = await seat.driver.observe(new Map([[machine, host]]), seat.call())
    return statuses.get(machine)?.address
  }

  test('runs a container over a verified connection, and is found at another address after a stop', async () => {
    const [hostKey, login] = [makeKeyPair('host'), makeKeyPair('login')]
    const identityFile = join(folder, 'id')
    await writeFile(identityFile, login.privateKey, { mode: 0o600 })
    const text = writeUserData({
      hostName: machine,
      user: 'fleet',
      authorizedKeys: [login.publicKey],
      hostKey,
      engine: undefined,
    })
    const userData = packUserData(text, { maxBytes: 65_535, gzip: true })
    const attempt = newAttempt(seat.options({ size: 'Standard_D2s_v5' }))
    const host = await seat.attempt(attempt, { userData, publicKey: login.publicKey })
    const runContainer = async (address = '', hostKeys = [hostKey.publicKey]): Promise<string> => {
      await using transport = await connectSsh(
        {
          machine,
          address,
          port: 22,
          user: host.user ?? '',
          hostKeys,
          identityFiles: [identityFile],
        },
        { env: {} },
      )
      const command = ['sudo', 'docker', 'run', '--rm', 'bb:1', 'echo', 'hello']
      return (await run(transport, command)).stdout
    }
    expect(await runContainer(host.address)).toBe('hello\n')
    await expect(runContainer(host.address, [login.publicKey])).rejects.toMatchObject({
      kind: 'host-key',
    })

    const { driver, azure } = seat
    await driver.power?.stop(host, seat.call())
    await expect(runContainer(host.address)).rejects.toMatchObject({ kind: 'unreachable' })
    const other = await hosts.newAddress()
    azure.moveAddress(host.resources?.['name'] ?? '', other)
    await driver.power?.start(host, seat.call())
    const address = await addressOf(host)
    expect(address).toBe(other)
    expect(address).not.toBe(host.address)
    expect(await runContainer(address)).toBe('hello\n')

    await seat.remove(host)
    expect(azure.remains()).toEqual([])
    await expect(runContainer(address)).rejects.toMatchObject({ kind: 'unreachable' })
  })
})
