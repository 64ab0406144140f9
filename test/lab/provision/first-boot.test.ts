import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import { parseMachineName } from '../../../src/machine/name.ts'
import { replaceHostKey } from '../../../src/operations/machine/replace-host-key.ts'
import { writeUserData } from '../../../src/provision/cloud-init/user-data.ts'
import type { EngineSettings } from '../../../src/provision/engine/settings/engine-settings.ts'
import { run } from '../../../src/transport/run.ts'
import { scanHostKey } from '../../../src/transport/ssh/connect.ts'
import { type NewHost, createHost, firstBoot } from '../../support/booted-host/new-host.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { until } from '../../support/lab/process.ts'

const machine = parseMachineName('web-1')
const { signal } = new AbortController()

/** Debian's cloud-init modules that the user-data uses, in addition to those of the booted host. */
const moreModules = `cloud_init_modules: [bootcmd, write-files, set_hostname, update_etc_hosts, users-groups, ssh]
cloud_config_modules: [set-passwords, runcmd]
`

const ownUserData = `#cloud-config
ssh_pwauth: true
ssh_keys: { rsa_private: "no key" }
bootcmd: [touch /run/own-bootcmd]
users:
  - default
  - name: bob
    ssh_authorized_keys: [ssh-ed25519 AAAA bob]
runcmd:
  - docker version >/root/own-runcmd 2>&1
`

/** Engine settings of the new host. */
const settings: EngineSettings = {
  config: { labels: ['tier=front', 'name=Zoë'], 'live-restore': true },
  listed: { 'insecure-registries': ['10.0.0.7:5000'], 'registry-mirrors': [] },
  environment: { LAB: 'a "b" 5%' },
  certificates: {},
}

describe.skipIf(!labIsHere)('a new host', () => {
  let created: NewHost
  const waits: string[] = []
  const shell = async (command: string, user?: string) => {
    await using transport = await created.connect(undefined, user)
    return await run(transport, { shell: command })
  }
  const shownKey = () => scanHostKey({ address: created.host.address, port: 22 }, { env: {} })
  const onHost = async (command: string) => (await created.host.exec(command)).stdout.trim()

  beforeAll(async () => {
    created = await createHost(
      { own: { file: 'own.yaml', content: Buffer.from(ownUserData) }, settings },
      { files: { 'etc/cloud/cloud.cfg.d/91_modules.cfg': moreModules } },
      4000, // long enough that the user-data must be compressed
    )
  })
  afterAll(() => created[Symbol.asyncDispose]())

  test('has the generated host key from its first connection on, and accepts its user', async () => {
    expect((await shell('id -un; sudo -n id -un; hostname')).stdout).toBe('ana\nroot\nweb-1\n')
    expect(await onHost('ls /etc/ssh | grep ^ssh_host')).toBe(
      'ssh_host_ed25519_key\nssh_host_ed25519_key.pub',
    )
  })

  test('has its user in the docker group from the first login, with bash as the shell', async () => {
    expect((await shell('id -nG')).stdout.split(/\s/)).toContain('docker')
    expect(Number(await onHost('getent group docker | cut -d: -f3'))).toBeLessThan(1000)
    expect(await onHost('getent passwd ana')).toMatch(/:\/bin\/bash$/)
  })

  test('is waited for, and the progress is reported', async () => {
    const probe = await created.settle((step, detail) => {
      if (step === 'wait for cloud-init') waits.push(detail ?? '')
    })
    expect(probe.engine).toMatchObject({
      version: expect.stringMatching(/^\d/) as string,
      direct: true,
    })
    expect(waits.filter((detail) => detail.startsWith('modules-final: ')).length).toBeGreaterThan(1)
    expect(waits.some((detail) => /install docker\.io/.test(detail))).toBe(true)
    expect(waits.some((detail) => detail.includes('ci-info'))).toBe(false)
  })

  test('has an engine that was started once, with the settings of the entry', async () => {
    expect(JSON.parse(await onHost('cat /etc/docker/daemon.json'))).toEqual({
      ...settings.config,
      'insecure-registries': ['10.0.0.7:5000'],
    })
    // The engine lists its labels in no particular order.
    const labels = await onHost("docker info --format '{{range .Labels}}{{println .}}{{end}}'")
    expect(labels.split('\n').toSorted()).toEqual(['name=Zoë', 'tier=front'])
    expect(await onHost("docker info --format '{{.LiveRestoreEnabled}}'")).toBe('true')
    expect(await onHost(`tr '\\0' '\\n' </proc/$(cat /run/docker.pid)/environ`)).toContain(
      'LAB=a "b" 5%',
    )
    expect(await onHost('systemctl show -p NRestarts --value docker.service')).toBe('0')
  })

  test("applies the user's own user-data after installing the engine, but fleet's settings win", async () => {
    expect(await onHost('id -un bob; id -un debian')).toBe('bob\ndebian')
    expect(await onHost('ls /run/own-bootcmd')).toBe('/run/own-bootcmd')
    expect(await onHost('cat /root/own-runcmd')).toContain('Server:')
    expect(await onHost('ls /etc/ssh | grep -c rsa')).toBe('0')
  })

  test('accepts neither root nor passwords', async () => {
    await expect(created.connect(undefined, 'root')).rejects.toMatchObject({ kind: 'credentials' })
    expect(await onHost('sshd -T | grep -i ^passwordauthentication')).toBe(
      'passwordauthentication no',
    )
    expect(await onHost('passwd -S ana | cut -d" " -f2')).toBe('L')
  })

  test('has user-data that is valid for cloud-init, in parts and merged', async () => {
    const { hostKey } = created
    const text = writeUserData({ ...firstBoot, hostKey, authorizedKeys: [hostKey.publicKey] })
    const parts = text.split(/^--fleet.*$/m).filter((part) => part.includes('#cloud-config'))
    expect(parts).toHaveLength(2)
    const { root } = created.host
    for (const [index, part] of parts.entries()) {
      await writeFile(`${root}/root/part-${index}`, part.slice(part.indexOf('#cloud-config')))
      expect(await onHost(`cloud-init schema --config-file /root/part-${index} 2>&1`)).toMatch(
        /^Valid cloud-config/,
      )
    }
    const merged = '/var/lib/cloud/instance/cloud-config.txt'
    expect(await onHost(`cloud-init schema --config-file ${merged} 2>&1`)).toMatch(
      /^Valid cloud-config/,
    )
  })

  describe('gets another host key, known only to the host', () => {
    /**
     * The recorded keys. Whenever they are written, one of them must be the key that the host presents at that moment.
     */
    let recorded: readonly string[] = []
    const replace = async (dieAt?: number) => {
      await using transport = await created.connect(recorded)
      let calls = 0
      return await replaceHostKey(transport, { machine, signal }, async (keys) => {
        calls += 1
        if (calls === dieAt) throw new Error('cut')
        recorded = keys
        expect(keys).toContain(await shownKey())
      })
    }
    const canBeReached = async () => {
      await using transport = await created.connect(recorded)
      expect((await run(transport, ['id', '-un'])).stdout).toBe('ana\n')
    }
    beforeAll(() => {
      recorded = [created.hostKey.publicKey]
    })

    test('and keeps the first one if the replacement is interrupted before the keys are recorded', async () => {
      await expect(replace(1)).rejects.toThrow('cut')
      expect(await shownKey()).toBe(created.hostKey.publicKey)
      await canBeReached()
    })

    test('and can be reached and finished if it is interrupted before sshd reloads', async () => {
      await using transport = await created.connect(recorded)
      const staged = '/etc/ssh/.fleet_host_ed25519_key'
      const before = recorded[0] ?? ''
      const after = await onHost(`ssh-keygen -y -f ${staged} | cut -d' ' -f1-2`)
      recorded = [before, after]
      await onHost(
        `rm /etc/ssh/ssh_host_ed25519_key.pub; mv ${staged} /etc/ssh/ssh_host_ed25519_key`,
      )
      await canBeReached()
      await replace()
      expect(recorded).toEqual([await shownKey()])
      expect([before, after]).not.toContain(recorded[0])
      expect((await run(transport, ['echo', 'kept'])).stdout).toBe('kept\n')
    })

    test('and can be reached and finished if it is interrupted before the old key is dropped', async () => {
      await expect(replace(2)).rejects.toThrow('cut')
      expect(recorded).toHaveLength(2)
      await canBeReached()
      await replace()
      expect(recorded).toEqual([await shownKey()])
    })

    test("and leaves no copy of the old key in cloud-init's data, and no key of another type", async () => {
      const body = created.hostKey.privateKey.split('\n')[2] ?? ''
      expect(body.length).toBeGreaterThan(50)
      expect(await onHost(`grep -rlF ${body} /etc /var/lib/cloud/instances`)).toBe('')
      expect(await onHost('ls -A /etc/ssh | grep host')).toBe(
        'ssh_host_ed25519_key\nssh_host_ed25519_key.pub',
      )
    })

    test('and keeps it after a reboot', async () => {
      await created.host.stop(false)
      await created.host.start()
      await until(
        'cloud-init',
        async () => {
          const { code } = await created.host.exec('test -e /run/cloud-init/result.json')
          return code === 0 || undefined
        },
        60_000,
      )
      expect(await shownKey()).toBe(recorded[0])
      await canBeReached()
      expect((await created.host.exec('cloud-init status')).stdout).toContain('done')
    })
  })
})

describe.skipIf(!labIsHere)('a failed first boot', () => {
  test('without available packages is an error that quotes the reason and suggests the next command', async () => {
    await using created = await createHost(
      {},
      {
        files: {
          'etc/resolv.conf': 'nameserver 127.0.0.1\n',
          'usr/local/bin/sleep': '#!/bin/sh\nexec /usr/bin/sleep 1\n', // the wait between attempts
        },
      },
    )
    const failure = await created.settle().catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(UserError)
    expect(failure).toMatchObject({
      kind: 'failed',
      hint: expect.stringContaining('fleet provision web-1'),
    })
    const { message } = failure as UserError
    expect(message).toMatch(/module scripts.user: Runparts: 1 failures \(00-fleet-engine\)/)
    expect(message).toMatch(/Unable to (?:locate|correct)|no installation candidate/i)
  })
})
