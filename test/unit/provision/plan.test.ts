import { describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.ts'
import { checkEngine } from '../../../src/provision/engine/upgrade.ts'
import { type HostProbe } from '../../../src/provision/host/probe.ts'
import { planEngine } from '../../../src/provision/engine/plan-engine.ts'

/** Root on a fresh Debian host. */
const fresh: HostProbe = {
  os: { id: 'debian', like: [], version: '12', name: 'Debian GNU/Linux 12 (bookworm)' },
  arch: 'amd64',
  kernel: '6.1.0',
  init: 'systemd',
  user: 'root',
  root: true,
  sudo: false,
  dockerGroup: false,
  appArmorMissing: false,
  cloudInit: 'absent',
  alpineCommunity: false,
  cli: false,
  daemon: false,
  engineFromDocker: false,
}

/** The Debian host with a running engine. */
const healthy: HostProbe = {
  ...fresh,
  cli: true,
  daemon: true,
  service: { active: true, enabled: true },
  engine: { socket: '/var/run/docker.sock', version: '20.10.24', direct: true },
}

const ana = { user: 'ana', root: false, sudo: true } as const
const { engine: _engine, ...stopped } = {
  ...healthy,
  service: { active: false, enabled: true },
}

const os = (id: string, ...like: string[]) => ({ os: { id, like, name: id } })
const changes = (probe: HostProbe) => planEngine(probe).map((step) => step.description)
const commands = (probe: HostProbe) => planEngine(probe).map((step) => step.command.join(' '))
const failureOf = (probe: HostProbe) => {
  try {
    planEngine(probe)
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('a healthy host', () => {
  test.each([
    ['as root', healthy],
    ['as a member of the docker group', { ...healthy, ...ana, dockerGroup: true }],
    ['without sudo', { ...healthy, ...ana, sudo: false, dockerGroup: true, ...os('unheard-of') }],
    ['without an init system', { ...healthy, init: 'none' as const, service: undefined as never }],
    [
      'with a rootless engine of the user',
      {
        ...fresh,
        ...ana,
        engine: { socket: '/run/user/1000/docker.sock', version: '27.1.0', direct: true },
      },
    ],
    [
      'with an engine that no package installed, such as the snap',
      { ...healthy, daemon: false, service: undefined as never },
    ],
  ])('needs no changes %s', (_, probe) => {
    expect(planEngine(probe)).toEqual([])
  })
})

describe('repairing an engine', () => {
  test('starts a stopped engine', () => {
    expect(changes(stopped)).toEqual(['start docker.service'])
  })

  test('enables a disabled engine without restarting it', () => {
    const probe = { ...healthy, service: { active: true, enabled: false } }
    expect(changes(probe)).toEqual(['enable docker.service'])
    expect(commands(probe)[0]).toContain('systemctl enable docker.service')
    expect(commands(probe)[0]).not.toContain('--now')
  })

  test('installs a missing package for a kernel with AppArmor', () => {
    expect(changes({ ...healthy, appArmorMissing: true })).toEqual([
      'refresh the package lists (apt-get update)',
      'install apparmor',
    ])
  })

  test('does nothing about AppArmor if the distribution does not use it', () => {
    expect(changes({ ...healthy, ...os('fedora'), appArmorMissing: true })).toEqual([])
  })

  test('adds the user to the docker group, and states the consequences', () => {
    const [change = ''] = changes({ ...healthy, ...ana })
    expect(change).toContain('add ana to the docker group')
    expect(change).toContain('root access to the host')
  })

  test('starts the engine directly on a host without an init system', () => {
    const [change = ''] = changes({ ...stopped, init: 'none' })
    expect(change).toContain('start dockerd')
    expect(change).toContain('will not start again after a reboot')
  })

  test('does not restart an engine that hangs, because its containers would stop', () => {
    const engine = { socket: '/var/run/docker.sock', direct: true }
    expect(changes({ ...healthy, engine })).toEqual([])
  })

  test('starts an engine that left its socket behind', () => {
    const { service: _service, ...bare } = { ...healthy, init: 'none' as const }
    const engine = { socket: '/var/run/docker.sock', direct: true }
    expect(changes({ ...bare, engine })).toHaveLength(1)
  })

  test('trusts the service manager if the host has no program to query the engine', () => {
    const engine = { socket: '/var/run/docker.sock', direct: true }
    expect(changes({ ...healthy, cli: false, engine })).toEqual([])
  })
})

describe('a fresh host', () => {
  test.each([
    [os('debian'), 'install docker.io, iptables, ca-certificates'],
    [os('ubuntu', 'debian'), 'install docker.io, iptables, ca-certificates'],
    [os('linuxmint', 'ubuntu', 'debian'), 'install docker.io, iptables, ca-certificates'],
    [os('fedora'), 'install moby-engine'],
    [os('rhel', 'fedora'), 'install docker-ce, docker-ce-cli, containerd.io, iptables'],
    [
      os('rocky', 'rhel', 'centos', 'fedora'),
      'install docker-ce, docker-ce-cli, containerd.io, iptables',
    ],
    [os('ol', 'fedora'), 'install docker-ce, docker-ce-cli, containerd.io, iptables'],
    [os('amzn', 'fedora'), 'install docker'],
    [os('alpine'), 'install docker, ca-certificates'],
    [os('arch'), 'install docker'],
    [os('manjaro', 'arch'), 'install docker'],
    [os('opensuse-leap', 'suse', 'opensuse'), 'install docker'],
    [os('sles', 'suse'), 'install docker'],
  ])('with %o gets the packages of its distribution and a running service', (system, install) => {
    const plan = changes({ ...fresh, ...system })
    expect(plan).toContain(install)
    expect(plan.at(-1)).toBe('enable and start docker.service')
  })

  test.each([
    ['rocky', 'centos'],
    ['rhel', 'rhel'],
  ])("with %s gets Docker's repository for %s", (id, repository) => {
    expect(commands({ ...fresh, ...os(id) })[0]).toContain(
      `baseurl=https://download.docker.com/linux/${repository}/`,
    )
  })

  test('with Alpine gets the community repository only if it is disabled', () => {
    const alpine = { ...fresh, ...os('alpine'), init: 'openrc' as const }
    expect(changes(alpine)[0]).toContain('community repository')
    expect(changes({ ...alpine, alpineCommunity: true })).toEqual([
      'install docker, ca-certificates',
      'start docker at boot (OpenRC, default runlevel)',
      'start docker (OpenRC)',
    ])
  })

  test.each(['password', 'terminal'] as const)('needs a %s for sudo in every step', (sudoNeeds) => {
    const plan = planEngine({ ...fresh, ...ana, sudo: false, sudoNeeds })
    expect(plan.length).toBeGreaterThan(0)
    expect(plan.every(({ sudo, command }) => sudo === sudoNeeds && command[0] !== 'sudo')).toBe(
      true,
    )
  })

  test('uses sudo without a password in every step if the user is not root', () => {
    const plan = planEngine({ ...fresh, ...ana })
    expect(plan.map(({ command }) => command.slice(0, 2))).toEqual(plan.map(() => ['sudo', '-n']))
    expect(plan.at(-1)?.command).toEqual(['sudo', '-n', 'usermod', '-aG', 'docker', 'ana'])
  })

  test('with Alpine adds group members with addgroup', () => {
    const plan = planEngine({ ...fresh, ...ana, ...os('alpine') })
    expect(plan.at(-1)?.command).toEqual(['sudo', '-n', 'addgroup', 'ana', 'docker'])
  })

  test("never has the engine's settings changed", () => {
    for (const id of ['debian', 'fedora', 'rocky', 'amzn', 'alpine', 'arch', 'sles'])
      expect(commands({ ...fresh, ...os(id) }).join('\n')).not.toContain('daemon.json')
  })
})

test('an unknown distribution is refused, with what to install manually', () => {
  const error = failureOf({ ...fresh, os: { id: 'plan9', like: [], name: 'Plan 9' } })
  expect(error).toMatchObject({ kind: 'unsupported', message: expect.stringContaining('Plan 9') })
  expect(error.hint).toContain('dockerd')
})

test('a user who cannot become root is refused, with the changes that would be needed', () => {
  const error = failureOf({ ...fresh, ...ana, sudo: false })
  expect(error.kind).toBe('credentials')
  expect(error.message).toContain('ana cannot become root')
  expect(error.message).toContain('install docker.io')
  expect(error.hint).toContain('sudo')
})

test('a user who cannot access the socket is not told that the engine is stopped', () => {
  const engine = { socket: '/var/run/docker.sock', direct: false }
  const error = failureOf({ ...healthy, ...ana, sudo: false, engine })
  expect(error.message).toContain('add ana to the docker group')
  expect(error.message).not.toContain('start')
})

/** Returns a healthy host whose engine has this version. */
const seen = (version: string, engineFromDocker = true): HostProbe => ({
  ...healthy,
  engineFromDocker,
  engine: { socket: '/var/run/docker.sock', version, direct: true },
})

describe('an installed engine that differs from the requested one', () => {
  test.each([
    ['28.2.9', { version: '28.2' }, 'fits'],
    ['29.1.0-rc.2', { version: '29.1.0~rc.2' }, 'fits'],
    ['28.2.9', { version: '28.20' }, 'upgrade'],
    ['28.2.9', { version: '28.2.10' }, 'upgrade'],
    ['28.20.1', { version: '28.2' }, 'matter'],
    ['29.0.0', { version: '28' }, 'matter'],
    ['29.0.0', { channel: 'stable' as const }, 'fits'],
    ['29.0.0', { channel: 'distribution' as const }, 'matter'],
    ['29.0.0', {}, 'fits'],
  ])('%s, with %j requested, is rated "%s"', (version, wish, kind) => {
    expect(checkEngine(seen(version), wish)).toMatchObject({ kind })
  })

  test("from the distribution is never replaced by Docker's, which is reported with a hint", () => {
    const judged = checkEngine(seen('20.10.24', false), { version: '28.2' })
    expect(judged).toMatchObject({
      kind: 'matter',
      hint: expect.stringContaining('by hand') as string,
    })
    expect(checkEngine(seen('20.10.24', false), { channel: 'stable' })).toMatchObject({
      kind: 'matter',
    })
  })

  test('is kept by provisioning, and upgraded to the newest matching release by an upgrade', () => {
    const wish = { version: '28.2' }
    expect(planEngine(seen('27.1.0'), wish)).toEqual([])
    expect(
      planEngine(seen('27.1.0'), wish, { upgrades: true }).map(({ description }) => description),
    ).toEqual([
      expect.stringContaining("add Docker's package repository, channel stable"),
      'upgrade docker-ce to the newest 28.2 release, which restarts the engine and its containers',
    ])
    expect(planEngine(seen('28.2.1'), wish, { upgrades: true })).toEqual([])
  })
})
