import { execFile } from 'node:child_process'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readInfo } from '../../../src/engine/system.ts'
import { parseMachineName } from '../../../src/machine/name.ts'
import { adoptMachine } from '../../../src/operations/adopt/adopt-machine.ts'
import { describeForSsh } from '../../../src/operations/export/ssh-client-config.ts'
import type { HostKeyTrust } from '../../../src/operations/trust/trust-host-key.ts'
import { run } from '../../../src/transport/run.ts'
import { accounts } from '../../support/lab/accounts.ts'
import { type Lab, type LabHost, labIsHere, startLab } from '../../support/lab/lab.ts'
import { until } from '../../support/lab/process.ts'
import { type Operator, makeOperator } from '../../support/operator.ts'
import { hostOf } from '../../support/ssh/ssh-target.ts'

const execute = promisify(execFile)

describe.skipIf(!labIsHere)('adopting a host', () => {
  let lab: Lab
  let host: LabHost
  let operator: Operator

  beforeAll(async () => {
    lab = await startLab({ hosts: 1, engine: true })
    host = hostOf(lab)
  })
  afterAll(() => lab[Symbol.asyncDispose]())
  beforeEach(async () => {
    operator = await makeOperator({ identity: lab.identity.file })
  })
  afterEach(() => operator[Symbol.asyncDispose]())

  const adopt = async (destination: string, trust: HostKeyTrust = { acceptNew: true }) => {
    await using fleet = operator.open()
    return await adoptMachine(
      fleet,
      { destination, name: parseMachineName('m'), trust },
      { progress: () => {}, confirmJump: async () => true },
    )
  }

  /** Resolves to the host's link-local address, with the zone of this computer. */
  async function linkLocalAddress(): Promise<string> {
    const { stdout } = await host.exec('ip -6 -o addr show dev eth0 scope link')
    const [, address = ''] = /inet6 (fe80:[^/]+)/.exec(stdout) ?? []
    return `${address}%${lab.network.bridge}`
  }

  describe('with only IPv6', () => {
    const globalAddress = 'fd77::11'

    beforeAll(async () => {
      const { bridge } = lab.network
      await execute('ip', ['-6', 'addr', 'add', 'fd77::1/64', 'dev', bridge, 'nodad'])
      await host.exec(
        `ip -6 addr add ${globalAddress}/64 dev eth0 nodad; ip -4 addr flush dev eth0`,
      )
      // An address is usable once duplicate address detection (RFC 4862, section 5.4) has finished.
      await until('the IPv6 addresses to be usable', async () => {
        const here = await execute('ip', ['-6', 'addr', 'show', 'tentative'])
        const there = await host.exec('ip -6 addr show tentative')
        return here.stdout + there.stdout === '' || undefined
      })
    })
    afterAll(() => host.exec(`ip addr add ${host.address}/24 dev eth0`))

    test.each([
      ['its global address', async () => globalAddress],
      ['a link-local address with a zone', linkLocalAddress],
    ])('works with %s, also for plain ssh', async (_, find) => {
      const address = await find()
      await appendFile(join(operator.home, '.ssh/known_hosts'), `${address} ${host.hostKey}\n`)
      const { machine } = await adopt(`root@[${address}]:22`, {})
      expect(machine).toMatchObject({
        options: { address },
        host: { address, hostKeys: [host.hostKey] },
      })
      await using fleet = operator.open()
      await using transport = await fleet.connect(machine)
      expect((await run(transport, ['hostname'])).stdout).toBe(`${host.name}\n`)
      expect((await readInfo(await fleet.engine(machine))).Name).toBe(host.name)
      const knownHosts = join(operator.home, 'known')
      const config = join(operator.home, 'config')
      const described = await describeForSsh(fleet, knownHosts)
      await writeFile(knownHosts, described.knownHosts)
      await writeFile(config, described.config)
      const ssh = ['-F', config, '-i', lab.identity.file, '-o', 'BatchMode=yes', 'm', 'hostname']
      expect((await execute('ssh', ssh)).stdout).toBe(`${host.name}\n`)
    })

    test('reports the address with its zone if nothing listens', async () => {
      const address = await linkLocalAddress()
      await expect(adopt(`root@[${address}]:2`)).rejects.toMatchObject({
        kind: 'unreachable',
        message: `cannot reach [${address}]:2: connection refused`,
      })
    })

    test('reports a zone that this computer does not have', async () => {
      await expect(adopt('root@[fe80::1%none0]:22')).rejects.toMatchObject({
        kind: 'unreachable',
        message: 'cannot reach [fe80::1%none0]:22: this computer has no network interface none0',
        hint: expect.stringContaining('fe80::1%none0'),
      })
    })
  })

  describe('with an engine on another socket', () => {
    const usual = '/run/docker.sock'
    const { uid } = accounts.ana

    test.each([
      ['root', '/run/podman/podman.sock'],
      ['ana', `/run/user/${uid}/docker.sock`],
      ['ana', `/run/user/${uid}/podman/podman.sock`],
    ] as const)('finds it for %s at %s', async (user, socket) => {
      const folder = socket.replace(/\/[^/]*$/, '')
      await host.exec(
        `mkdir -p ${folder}; chown -R ${user}: ${folder}; mv ${usual} ${socket}; chown ${user}: ${socket}`,
      )
      try {
        const { machine, probe } = await adopt(`${user}@${host.address}`)
        expect(machine.host).toMatchObject({ socket, engine: expect.stringMatching(/^\d+\.\d+/) })
        expect(probe.engine?.direct).toBe(true)
        await using fleet = operator.open()
        expect((await readInfo(await fleet.engine(machine))).Name).toBe(host.name)
      } finally {
        await host.exec(`mv ${socket} ${usual}; chown root:docker ${usual}`)
      }
    })
  })
})
