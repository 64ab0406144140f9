import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import { provisionMachine } from '../../../src/operations/provision/provision-machine.ts'
import type { ProvisionedHost } from '../../../src/operations/provision/provision-host.ts'
import type { Plan } from '../../../src/provision/engine/plan-engine.ts'
import {
  type BootOptions,
  type BootedHost,
  bootHost,
} from '../../support/booted-host/booted-host.ts'
import { labIsHere } from '../../support/lab/lab.ts'
import { until } from '../../support/lab/process.ts'
import { type Operator, makeOperator } from '../../support/operator.ts'

/** Creates an operator whose inventory has the host as the machine `m`. */
const operatorOf = (host: BootedHost, user: string) =>
  makeOperator({
    identity: host.identity.file,
    inventory: `version: 1
id: 0123abcd
machines:
  m:
    driver: ssh
    options: { address: ${host.address}, user: ${user} }
    host:
      phase: ready
      address: ${host.address}
      user: ${user}
      hostKeys: [${host.hostKey}]
`,
  })

interface Run extends ProvisionedHost {
  /** The plan that was shown before any change. */
  readonly shown: Plan | undefined
  readonly steps: readonly string[]
}

/** Provisions `m` as a single command does. */
async function provision(
  operator: Operator,
  onStep: (step: string) => void = () => {},
  answer = true,
): Promise<Run> {
  const machine = await operator.machine('m')
  if (machine === undefined) throw new Error('no machine m')
  const steps: string[] = []
  let shown: Plan | undefined
  await using fleet = operator.open()
  const provisioned = await provisionMachine(fleet, machine, {
    progress(step) {
      steps.push(step)
      onStep(step)
    },
    async approve(plan) {
      shown = plan
      return answer
    },
  })
  return { ...provisioned, shown, steps }
}

/** Lists what provisioning could change on a host: settings, packages, accounts, services, processes. */
async function snapshot(host: BootedHost): Promise<string> {
  const { stdout } = await host.exec(`
    find /etc /var/lib/apt/lists /var/lib/systemd /usr/bin /usr/sbin -xdev -type f -printf '%p %s %T@ %m %u\\n' | sort
    find /etc -xdev -type f -exec sha256sum {} + | sort
    dpkg-query -W
    systemctl list-unit-files --no-pager docker.service docker.socket containerd.service
    pgrep -a 'dockerd|containerd'`)
  expect(stdout.length).toBeGreaterThan(10_000)
  return stdout
}

const engineAnswers = async (host: BootedHost) =>
  (await host.exec('docker version --format {{.Server.Version}}')).stdout.trim()

describe.skipIf(!labIsHere)('a fresh Debian host', () => {
  const options: BootOptions = {
    files: { 'etc/docker/daemon.json': '{\n  "shutdown-timeout": 3 }\n' },
  }
  let host: BootedHost
  let operator: Operator
  beforeAll(async () => {
    host = await bootHost(options)
    operator = await operatorOf(host, 'debian')
  })
  afterAll(async () => {
    await operator[Symbol.asyncDispose]()
    await host[Symbol.asyncDispose]()
  })

  test('is unchanged when the plan is refused', async () => {
    await host.exec('cloud-init status --wait')
    const before = await snapshot(host)
    const inventory = await operator.inventory()
    await expect(provision(operator, () => {}, false)).rejects.toMatchObject({
      kind: 'cancelled',
      message: expect.stringContaining('nothing was changed'),
    })
    expect(await snapshot(host)).toBe(before)
    expect(await operator.inventory()).toBe(inventory)
  })

  test('gets an engine with sudo, after the changes are listed', async () => {
    const run = await provision(operator)
    expect(run.shown?.map(({ description }) => description)).toEqual([
      'refresh the package lists (apt-get update)',
      'install docker.io, iptables, ca-certificates',
      'enable and start docker.service',
      expect.stringContaining('add debian to the docker group'),
    ])
    expect(run.steps).toEqual([
      'inspect the host',
      ...(run.shown ?? []).map(({ description }) => description),
      'check the engine',
    ])
    expect(await engineAnswers(host)).toMatch(/^\d+\.\d+/)
    expect((await host.exec('id -nG debian')).stdout).toContain('docker')
    expect((await host.exec('systemctl is-enabled docker')).stdout).toBe('enabled\n')
  })

  test('has an updated record afterwards', async () => {
    expect((await operator.machine('m'))?.host).toMatchObject({
      os: expect.stringContaining('Debian'),
      arch: { x64: 'amd64' }[process.arch as string] ?? process.arch,
      engine: await engineAnswers(host),
    })
  })

  test('keeps its engine settings byte for byte, and the engine applies them', async () => {
    const { stdout } = await host.exec('cat /etc/docker/daemon.json')
    expect(stdout).toBe(options.files?.['etc/docker/daemon.json'])
  })

  test('is not changed by a second run, nor is the inventory', async () => {
    const before = await snapshot(host)
    const inventory = await operator.inventory()
    const run = await provision(operator)
    expect(run).toMatchObject({ plan: [], shown: undefined })
    expect(await snapshot(host)).toBe(before)
    expect(await operator.inventory()).toBe(inventory)
  })

  test('runs containers', async () => {
    const answer = await host.exec(`
      mkdir -p /tmp/image/bin && cp /bin/dash /tmp/image/bin/sh
      ldd /bin/dash | grep -o '/[^ ]*' | xargs -I{} cp --parents -L {} /tmp/image
      tar -C /tmp/image -c . | docker import - shell:1 >/dev/null && docker run --rm shell:1 sh -c 'echo works'`)
    expect(answer).toMatchObject({ code: 0, stdout: 'works\n' })
  })

  test('gets a stopped engine started, and nothing else', async () => {
    await host.exec('systemctl stop docker.service docker.socket')
    const run = await provision(operator)
    expect(run.shown?.map(({ description }) => description)).toEqual(['start docker.service'])
    expect(await engineAnswers(host)).toMatch(/^\d/)
  })

  test('gets a disabled engine enabled, without a restart', async () => {
    const { stdout: pid } = await host.exec('pidof dockerd')
    await host.exec('systemctl disable docker.service')
    const run = await provision(operator)
    expect(run.shown?.map(({ description }) => description)).toEqual(['enable docker.service'])
    expect((await host.exec('systemctl is-enabled docker')).stdout).toBe('enabled\n')
    expect((await host.exec('pidof dockerd')).stdout).toBe(pid)
  })

  test('gets its user added to the docker group again', async () => {
    await host.exec('gpasswd -d debian docker')
    const run = await provision(operator)
    expect(run.shown).toHaveLength(1)
    expect((await host.exec('id -nG debian')).stdout).toContain('docker')
  })

  test('reports an engine that cannot start, with the reason', async () => {
    await host.exec(`systemctl stop docker.service docker.socket
      cp /etc/docker/daemon.json /root/kept && echo '{ "no-such-setting": 1 }' >/etc/docker/daemon.json`)
    const failure = await provision(operator).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(UserError)
    expect(failure).toMatchObject({ kind: 'failed', machine: 'm' })
    expect((failure as UserError).message).toMatch(/could not start docker\.service.*exit code 1/)
    expect((failure as UserError).message).toContain('no-such-setting')
    await host.exec('cp /root/kept /etc/docker/daemon.json; systemctl reset-failed docker')
    await provision(operator)
  })

  test('reports a hung engine without restarting it, which would stop its containers', async () => {
    const { stdout: pid } = await host.exec('pidof dockerd')
    await host.exec('kill -STOP $(pidof dockerd)')
    await expect(provision(operator)).rejects.toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('does not respond'),
    })
    await host.exec('kill -CONT $(pidof dockerd)')
    expect((await host.exec('pidof dockerd')).stdout).toBe(pid)
  })

  test('reports that the user cannot become root, and what for', async () => {
    await host.exec(
      'systemctl stop docker.service docker.socket; rm /etc/sudoers.d/90-cloud-init-users',
    )
    await expect(provision(operator)).rejects.toMatchObject({
      kind: 'credentials',
      message: expect.stringMatching(/sudo requires .*'s password to start docker\.service/),
    })
  })
})

describe.skipIf(!labIsHere)('a busy host', () => {
  const goOn = 'while [ ! -e /run/go-on ]; do sleep 0.1; done'

  test('is waited for: first cloud-init, then the apt locks; root needs no sudo', async () => {
    await using host = await bootHost({ runcmd: [goOn] })
    await using operator = await operatorOf(host, 'root')
    const waits: string[] = []
    const lock = `systemd-run --quiet --unit=holder python3 -c "
import fcntl, os, time
held = [open(f, 'w') for f in ('/var/lib/apt/lists/lock', '/var/lib/dpkg/lock-frontend')]
[fcntl.lockf(f, fcntl.LOCK_EX) for f in held]
open('/run/held', 'w')
while not os.path.exists('/run/release'): time.sleep(0.1)
held[0].close()
while not os.path.exists('/run/release-all'): time.sleep(0.1)"`
    await host.exec(lock)
    await until(
      'the locks to be held',
      async () => (await host.exec('test -e /run/held')).code === 0 || undefined,
    )
    const run = await provision(operator, (step) => {
      if (step.includes('cloud-init')) {
        waits.push('cloud-init')
        void host.exec('touch /run/go-on')
      } else if (step.startsWith('Waiting') && step.includes('lists')) {
        waits.push('package lists')
        void host.exec('touch /run/release')
      } else if (step.startsWith('Waiting') && step.includes('dpkg')) {
        waits.push('packages')
        void host.exec('touch /run/release-all')
      }
    })
    expect(waits).toEqual(['cloud-init', 'package lists', 'packages'])
    for (const { command } of run.plan) expect(command[0]).not.toBe('sudo')
    expect(await engineAnswers(host)).toMatch(/^\d/)
  })
})

describe.skipIf(!labIsHere)('a host without an init system', () => {
  test('gets a running engine, with a note that it will not start again after a reboot', async () => {
    await using host = await bootHost({ init: 'none' })
    await using operator = await operatorOf(host, 'root')
    const run = await provision(operator)
    expect(run.shown?.at(-1)?.description).toContain('will not start again after a reboot')
    expect(await engineAnswers(host)).toMatch(/^\d/)
    expect((await provision(operator)).plan).toEqual([])
    await host.exec('kill $(pidof dockerd)')
    await until(
      'dockerd to end',
      async () => (await host.exec('pidof dockerd')).code !== 0 || undefined,
    )
    expect((await provision(operator)).plan).toHaveLength(1)
    expect(await engineAnswers(host)).toMatch(/^\d/)
  })
})
