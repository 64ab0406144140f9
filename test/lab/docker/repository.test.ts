import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EngineSpec } from '../../../src/machine/engine-spec.ts'
import { parseMachineName } from '../../../src/machine/name.ts'
import {
  type ProvisionedHost,
  provisionHost,
} from '../../../src/operations/provision/provision-host.ts'
import type { UpgradePolicy } from '../../../src/provision/engine/plan-engine.ts'
import { bootScriptName, writeBootScript } from '../../../src/provision/cloud-init/boot-script.ts'
import { type NewHost, createHost } from '../../support/booted-host/new-host.ts'
import {
  type DockerRepository,
  packageVersion,
  serveDockerRepository,
} from '../../support/docker/docker-repository.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { type Switch, addSwitch, removeSwitch } from '../../support/lab/network.ts'

const machine = parseMachineName('web-1')
const { signal } = new AbortController()

/** Fingerprint of Docker's package signing key, the only key that fleet accepts. */
const dockersKey = '9DC858229FC7DD38854AE2D88D81803C0EBFCD88'

const stable = ['28.1.0', '28.2.9', '28.2.10', '28.20.1', '29.0.0']

/** Returns the versions of `docker-ce` and `docker-ce-cli` for an engine version. */
const both = (version: string) => [packageVersion(version), packageVersion(version)]

describe.skipIf(!labIsHere)("Docker's package repository", () => {
  let network: Switch
  let repository: DockerRepository
  let created: NewHost

  /** Replaces the trusted key in a script of fleet with the key of the test repository. */
  const trusting = (script: string) => {
    expect(script.split(dockersKey)).toHaveLength(2)
    return script.replace(dockersKey, repository.fingerprint)
  }
  const onHost = async (command: string) => (await created.host.exec(command)).stdout.trim()

  /** Provisions the host as `fleet provision` does. */
  async function provision(
    wish: EngineSpec,
    edit = trusting,
    aims: UpgradePolicy = {},
  ): Promise<ProvisionedHost> {
    await using transport = await created.connect()
    const target = { machine, transport, socket: undefined, signal }
    return await provisionHost(
      target,
      wish,
      {
        progress() {},
        async approve(plan) {
          for (const { command } of plan) {
            const words = command as string[]
            const at = words.findIndex((word) => word.includes(dockersKey))
            if (at !== -1) words[at] = edit(words[at] ?? '')
          }
          return true
        },
      },
      aims,
    )
  }

  /** Makes cloud-init run a script of fleet as at the first boot, and waits for it as `fleet create` does. */
  async function bootWith(wish: EngineSpec, onWait: (detail: string) => void = () => {}) {
    await writeFile(`${created.host.root}/root/script`, trusting(writeBootScript(wish, 'ana')))
    await onHost(`cat /root/script >/var/lib/cloud/instance/scripts/${bootScriptName}
      rm -f /var/lib/cloud/instance/sem/config_scripts_user /run/cloud-init/result.json /var/log/fleet-engine.log`)
    const run = created.host.exec('systemctl restart cloud-final.service')
    try {
      return await created.settle((_step, detail) => onWait(detail ?? ''))
    } finally {
      await run
    }
  }

  const uninstall = () =>
    onHost(`apt-get -qq purge docker-ce docker-ce-cli
      rm -f /etc/apt/sources.list.d/docker.list /etc/apt/keyrings/docker.asc`)

  /** Holds the locks of apt and dpkg until `release`. */
  const holdLocks = () =>
    onHost(`rm -f /run/held /run/release
      systemd-run --quiet --collect python3 -c "
import fcntl, os, time
held = [open(f, 'w') for f in ('/var/lib/apt/lists/lock', '/var/lib/dpkg/lock-frontend')]
[fcntl.lockf(f, fcntl.LOCK_EX) for f in held]
open('/run/held', 'w')
end = time.time() + 60
while time.time() < end and not os.path.exists('/run/release'): time.sleep(0.1)"
      while [ ! -e /run/held ]; do sleep 0.1; done`)
  const release = () => onHost('touch /run/release')

  const installed = async () => {
    const versions = await onHost("dpkg-query -W -f '${Version}\\n' docker-ce docker-ce-cli")
    expect(await onHost('docker version --format {{.Server.Version}}')).toMatch(/^\d+\.\d+/)
    return versions.split('\n')
  }

  beforeAll(async () => {
    network = await addSwitch()
    repository = await serveDockerRepository(network.address, {
      stable,
      test: ['28.1.0', '29.1.0~rc.2'],
    })
    created = await createHost(
      {
        engine: { version: '28.2' },
        own: { file: 'own.yaml', content: Buffer.from(repository.cloudConfig) },
      },
      { place: { network, address: `${network.prefix}.11` } },
    )
  })
  afterAll(async () => {
    await created[Symbol.asyncDispose]()
    await repository[Symbol.asyncDispose]()
    await removeSwitch(network)
  })

  test("fails the first boot immediately with a clear error if its key is not Docker's, and adds nothing", async () => {
    const refusal = `the key at https://download.docker.com/linux/debian/gpg is not Docker's: ${repository.fingerprint}`
    await expect(created.settle()).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringContaining(refusal) as string,
      hint: expect.stringContaining('fleet provision web-1') as string,
    })
    expect(await onHost('cat /var/log/fleet-engine.log')).not.toContain('trying again')
    await expect(provision({ version: '28.2' }, (script) => script)).rejects.toMatchObject({
      message: expect.stringContaining(refusal) as string,
    })
    expect(
      await onHost('ls /etc/apt/sources.list.d /etc/apt/keyrings; command -v dockerd'),
    ).not.toMatch(/docker/)
  })

  test('provides the newest 28.2 release: 28.2.10, not 28.20.1', async () => {
    const { plan } = await provision({ version: '28.2' })
    expect(plan.map(({ description }) => description)).toContain(
      'install docker-ce, docker-ce-cli, containerd.io, iptables (the newest 28.2 release)',
    )
    expect(await installed()).toEqual(both('28.2.10'))
  })

  test('is not used again for the same specification, which changes nothing', async () => {
    await onHost('touch /run/mark; sleep 0.1')
    expect(await provision({ version: '28.2' })).toMatchObject({ plan: [] })
    expect(await onHost('find /etc /usr /var/lib/dpkg /var/lib/apt -newer /run/mark')).toBe('')
  })

  test('upgrades an engine installed by fleet to a newer version and restarts it, but never downgrades', async () => {
    const started = 'systemctl show -p ExecMainStartTimestampMonotonic docker.service'
    const before = await onHost(started)
    const { plan } = await provision({ version: '28.20' }, trusting, { upgrades: true })
    expect(plan.map(({ description }) => description)).toContain(
      'upgrade docker-ce to the newest 28.20 release, which restarts the engine and its containers',
    )
    expect(await installed()).toEqual(both('28.20.1'))
    expect(await onHost(started)).not.toBe(before)
    for (const version of ['28.20', '28.2']) {
      const again = await provision({ version }, trusting, { upgrades: true })
      expect(again.plan).toEqual([])
    }
  })

  test('provides the newest release at the first boot by default, after the apt locks are released', async () => {
    await uninstall()
    await holdLocks()
    const waits: string[] = []
    const probe = await bootWith({ channel: 'stable' }, (detail) => {
      if (!detail.includes('Waiting for another package manager')) return
      waits.push(detail)
      void release()
    })
    expect(waits).not.toEqual([])
    expect(probe.engine).toMatchObject({ direct: true })
    expect(await installed()).toEqual(both('29.0.0'))
  })

  test('provides the newest release of the test channel', async () => {
    await uninstall()
    await provision({ channel: 'test' })
    expect(await installed()).toEqual(both('29.1.0~rc.2'))
  })

  test('fails immediately, listing the available versions, if it lacks the requested one', async () => {
    await uninstall()
    const names = [...stable].reverse().map((version) => packageVersion(version).slice(2))
    const failure = {
      kind: 'failed',
      message: expect.stringContaining(
        `there is no version 28.7 of docker-ce for this system; available: ${names.join(' ')}`,
      ) as string,
    }
    await expect(bootWith({ version: '28.7' })).rejects.toMatchObject(failure)
    expect(await onHost('cat /var/log/fleet-engine.log')).not.toContain('trying again')
    await expect(provision({ version: '28.7' })).rejects.toMatchObject(failure)
  })

  test('reports an error if it is down, and leaves package lists that apt can read', async () => {
    await onHost('rm /etc/apt/sources.list.d/docker.list')
    repository.down = true
    const failure = { message: expect.stringMatching(/could not add Docker's.*503/s) as string }
    await expect(provision({ channel: 'stable' })).rejects.toMatchObject(failure)
    expect(await onHost('ls /etc/apt/sources.list.d')).not.toContain('docker')
    repository.down = false
  })
})
