import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { upgradeMachine } from '../../../src/operations/provision/upgrade-engine.ts'
import { type BootedHost, bootHost } from '../../support/booted-host/booted-host.ts'
import { findSources } from '../../support/booted-host/root-folder.ts'
import {
  type DockerRepository,
  packageVersion,
  plainVersion,
  serveDockerRepository,
} from '../../support/docker/docker-repository.ts'
import { runHere } from '../../support/in-process/run.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { type Switch, addSwitch, removeSwitch } from '../../support/lab/network.ts'
import { type Operator, makeOperator } from '../../support/operator.ts'

/** Returns an entry of machines.yaml: the hosts are `m`, `m2` and `m3`. */
const entryOf = (
  { address, hostKey }: BootedHost,
  index: number,
) => `  m${index === 0 ? '' : index + 1}:
    driver: ssh
    options: { address: ${address}, user: debian }
    host: { phase: ready, address: ${address}, user: debian, hostKeys: ["${hostKey}"] }
`

describe.skipIf(!labIsHere)('fleet upgrade', { timeout: 600_000 }, () => {
  let network: Switch
  let repository: DockerRepository
  let host: BootedHost
  /** Two more hosts, `m2` and `m3`, which are copies of `m`. */
  let copies: readonly BootedHost[] = []
  let operator: Operator

  const onHost = async (command: string, on = host): Promise<string> => {
    const { code, stdout, stderr } = await on.exec(command)
    if (code !== 0) throw new Error(`${command}: ${stderr}${stdout}`)
    return stdout.trim()
  }
  const installed = (on = host) => onHost("dpkg-query -W -f '${Version}' docker-ce", on)
  const runFleet = (...words: string[]) =>
    runHere([...words, '--inventory', operator.inventoryFile], {
      cwd: operator.home,
      env: { ...operator.env, FLEET_BROKER: 'off' },
    })
  /** Resolves to the engine versions of all hosts. */
  const versions = () =>
    Promise.all([host, ...copies].map(async (on) => plainVersion(await installed(on))))
  const isRunning = (name: string) => onHost(`docker inspect -f '{{.State.Running}}' ${name}`)
  const containers = () => onHost('docker ps --format {{.Names}}')

  async function upgrade(version: string | undefined, agreed = true) {
    await using fleet = operator.open()
    const machine = await operator.machine('m')
    if (machine === undefined) throw new Error('no machine')
    const calls = { progress() {}, approve: async () => agreed }
    return await upgradeMachine(fleet, machine, version, calls)
  }

  beforeAll(async () => {
    network = await addSwitch()
    repository = await serveDockerRepository(network.address, {
      stable: ['28.1.0', '28.2.9', '28.2.10', '28.20.1', '29.0.0'],
      test: [],
    })
    host = await bootHost({ place: { network, address: `${network.prefix}.11` } })
    const commands = JSON.parse(
      /bootcmd: (.*)/.exec(repository.cloudConfig)?.[1] ?? '[]',
    ) as string[]
    await onHost(
      'cloud-init status --wait; apt-get -qq update; apt-get -qq install -y ca-certificates',
    )
    for (const command of commands) await onHost(`export TMPDIR=/tmp\n${command}`)
    await onHost(`
      echo 'deb [trusted=yes] https://download.docker.com/linux/debian ${findSources().suite} stable' >/etc/apt/sources.list.d/docker.list
      apt-get -qq update
      version=${packageVersion('28.1.0')}
      DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends docker-ce=$version docker-ce-cli=$version containerd.io iptables apparmor
      usermod -aG docker debian
      rm -f /etc/apt/sources.list; find /etc/apt/sources.list.d -type f ! -name docker.list -delete # of the mirror, whose lists are large
      mkdir -p /root/image/bin && cp /bin/dash /root/image/bin/sh && cp /bin/sleep /root/image/bin/sleep
      ldd /bin/dash /bin/sleep | grep -o '/lib[^ ]*' | sort -u | xargs -I{} cp --parents -L {} /root/image
      tar -C /root/image -c . | docker import - shell:1
      docker run -d --name steady --network none shell:1 sh -c 'while :; do sleep 1; done'`)
    copies = await Promise.all(
      ['12', '13'].map((number) =>
        bootHost({ like: host, place: { network, address: `${network.prefix}.${number}` } }),
      ),
    )
    operator = await makeOperator({
      identity: host.identity.file,
      inventory: `version: 1
id: 0123abcd
machines:
${[host, ...copies].map(entryOf).join('')}`,
    })
  }, 900_000)
  afterAll(async () => {
    await operator?.[Symbol.asyncDispose]()
    for (const booted of [host, ...copies]) await booted?.[Symbol.asyncDispose]()
    await repository?.[Symbol.asyncDispose]()
    await removeSwitch(network)
  })

  test('changes nothing without a confirmation', async () => {
    expect(await upgrade(undefined, false)).toEqual({ from: '28.1.0', to: '28.1.0' })
    expect(await installed()).toBe(packageVersion('28.1.0'))
  })

  test('respects packages on hold', async () => {
    await onHost('apt-mark hold docker-ce')
    await expect(upgrade(undefined)).rejects.toMatchObject({
      ...{
        kind: 'failed',
        message: expect.stringContaining('packages are on hold on the host: docker-ce') as string,
      },
      hint: expect.stringContaining('apt-mark unhold docker-ce') as string,
    })
    await onHost('apt-mark unhold docker-ce')
    expect(await installed()).toBe(packageVersion('28.1.0'))
  })

  test('installs the newest release of the requested version, and restarts the containers', async () => {
    expect(await upgrade('28.2')).toEqual({ from: '28.1.0', to: '28.2.10' })
    expect(await installed()).toBe(packageVersion('28.2.10'))
    expect(await isRunning('steady')).toBe('true')
    expect(await readFile(operator.inventoryFile, 'utf8')).toContain('engine: 28.2.10')
    expect(await upgrade('28.2')).toEqual({ from: '28.2.10', to: '28.2.10' })
  })

  test('never downgrades', async () => {
    await expect(upgrade('28.1')).rejects.toMatchObject({
      message: expect.stringContaining('fleet does not downgrade engines') as string,
    })
    await expect(upgrade('28.7')).rejects.toMatchObject({
      message: expect.stringContaining('there is no version 28.7 of docker-ce') as string,
    })
    expect(await installed()).toBe(packageVersion('28.2.10'))
  })

  describe('of several hosts', () => {
    test('changes nothing if one of them cannot be upgraded', async () => {
      await onHost('apt-mark hold docker-ce', copies[1])
      const held = await runFleet('upgrade', 'm', 'm2', 'm3', '--to', '28.20', '--yes')
      await onHost('apt-mark unhold docker-ce', copies[1])
      expect(held).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /m3: the engine was not upgraded, because packages are on hold on the host: docker-ce[\s\S]*no engines were upgraded/,
        ),
      })
      expect(await versions()).toEqual(['28.2.10', '28.1.0', '28.1.0'])
    })

    test('upgrades them one by one, and stops at the first failure', async () => {
      await onHost(
        `echo 'DPkg::Pre-Invoke { "echo the disk is read-only >&2; false"; };' >/etc/apt/apt.conf.d/99-broken`,
        copies[0],
      )
      const { code, stderr } = await runFleet('upgrade', '--all', '--to', '28.20', '--yes')
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(
          /m2: [\s\S]*the disk is read-only[\s\S]*m3: not upgraded, because another upgrade failed\n[\s\S]*m: Docker 28\.2\.10 -> 28\.20\.1\n/,
        ),
      })
      expect(await versions()).toEqual(['28.20.1', '28.1.0', '28.1.0'])
      expect(await isRunning('steady')).toBe('true')
      await onHost('[ ! -e /run/fleet-upgrade.containers ]', copies[0])
    })

    test('continues with the others, several at a time', async () => {
      await onHost('rm /etc/apt/apt.conf.d/99-broken', copies[0])
      const { code, stdout } = await runFleet(
        ...['upgrade', '--all', '--to', '28.20', '--batch', '2', '--yes', '--json'],
      )
      expect(code).toBe(0)
      expect(JSON.parse(stdout)).toEqual([
        { name: 'm', from: '28.20.1', to: '28.20.1' },
        { name: 'm2', from: '28.1.0', to: '28.20.1' },
        { name: 'm3', from: '28.1.0', to: '28.20.1' },
      ])
      expect(await versions()).toEqual(['28.20.1', '28.20.1', '28.20.1'])
    })
  })

  test('fails if a container is unhealthy afterwards', async () => {
    await onHost(`docker run -d --name fragile --network none --health-cmd '[ ! -e /broken ]' --health-interval 1s --health-retries 1 \\
        shell:1 sh -c '[ ! -e /first ] || : >/broken; : >/first; while :; do sleep 1; done'
      until [ "$(docker inspect -f '{{.State.Health.Status}}' fragile)" = healthy ]; do sleep 0.2; done`)
    await expect(upgrade(undefined)).rejects.toMatchObject({
      ...{ kind: 'failed', message: expect.stringContaining('fragile is unhealthy') as string },
    })
    expect(await installed()).toBe(packageVersion('29.0.0'))
    expect((await containers()).split('\n').toSorted()).toEqual(['fragile', 'steady'])
    expect(await readFile(operator.inventoryFile, 'utf8')).toContain('engine: 29.0.0')
  })
})
