import { UserError } from '../errors.ts'
import type { HostProbe } from './host-probe.ts'
import { lockWait, retryWhileLocked } from './locked.ts'
import type { Step } from './step.ts'

/** How a family of distributions gets packages. */
interface Distribution {
  /** `ID`s of os-release(5); other distributions name one of them in `ID_LIKE`. */
  readonly ids: readonly string[]
  /** The engine, and what a container needs to run. */
  readonly engine: readonly string[]
  /** The package with apparmor_parser, where the distribution has AppArmor. */
  readonly appArmor?: string
  /** What has to come before the packages. */
  readonly prepare?: (probe: HostProbe) => readonly Step[]
  readonly install: (packages: readonly string[]) => readonly string[]
}

/** No package may ask a question, nor needrestart restart what is not its own. */
const apt = ['env', 'LC_ALL=C', 'DEBIAN_FRONTEND=noninteractive', 'NEEDRESTART_MODE=l', 'apt-get']
const aptRefusal = 'Could not get lock'

const refreshAptLists: Step = {
  why: 'refresh the package lists (apt-get update)',
  command: retryWhileLocked(aptRefusal, [...apt, 'update']),
}

/** Newer releases have the docker CLI apart from docker.io, which only recommends it. */
const aptInstall = (packages: readonly string[]): string[] =>
  retryWhileLocked(aptRefusal, [
    'sh',
    '-c',
    'case " $* " in *" docker.io "*) apt-cache show docker-cli >/dev/null 2>&1 && set -- "$@" docker-cli ;; esac; exec "$@"',
    'sh',
    ...apt,
    '-y',
    '--no-install-recommends',
    '-o',
    'Dpkg::Options::=--force-confold',
    'install',
    ...packages,
  ])

/** dnf and yum wait for their lock by themselves, with no end. */
const dnfInstall = (packages: readonly string[]): string[] => [
  'sh',
  '-c',
  'exec "$(command -v dnf || command -v yum)" -y install "$@"',
  'sh',
  ...packages,
]

/** Docker's own packages: the RHEL family has none. */
const addDockerRepository = (system: 'centos' | 'rhel'): Step => ({
  why: "add Docker's package repository (/etc/yum.repos.d/docker-ce.repo)",
  command: [
    'curl',
    '-fsSL',
    `https://download.docker.com/linux/${system}/docker-ce.repo`,
    '-o',
    '/etc/yum.repos.d/docker-ce.repo',
  ],
})
const dockerPackages = ['docker-ce', 'docker-ce-cli', 'containerd.io', 'iptables']

const addAlpineCommunity: Step = {
  why: "switch on Alpine's community repository (/etc/apk/repositories)",
  command: [
    'sh',
    '-c',
    'community=$(sed -n \'s,^\\([^#].*\\)/main/*$,\\1/community,p\' /etc/apk/repositories | head -n 1); echo "$community" >>/etc/apk/repositories',
  ],
}

const distributions: readonly Distribution[] = [
  {
    ids: ['debian', 'ubuntu'],
    engine: ['docker.io', 'iptables', 'ca-certificates'],
    appArmor: 'apparmor',
    prepare: () => [refreshAptLists],
    install: aptInstall,
  },
  { ids: ['fedora'], engine: ['moby-engine'], install: dnfInstall },
  { ids: ['amzn'], engine: ['docker'], install: dnfInstall },
  {
    ids: ['rhel'],
    engine: dockerPackages,
    prepare: () => [addDockerRepository('rhel')],
    install: dnfInstall,
  },
  {
    ids: ['centos', 'rocky', 'almalinux', 'ol'],
    engine: dockerPackages,
    prepare: () => [addDockerRepository('centos')],
    install: dnfInstall,
  },
  {
    ids: ['alpine'],
    engine: ['docker', 'ca-certificates'],
    appArmor: 'apparmor',
    prepare: (probe) => (probe.alpineCommunity ? [] : [addAlpineCommunity]),
    install: (packages) => ['apk', '--wait', String(lockWait), 'add', ...packages],
  },
  {
    ids: ['arch'],
    engine: ['docker'],
    appArmor: 'apparmor',
    // Refreshing the lists without upgrading all is not supported there, so only where it must be.
    install: (packages) =>
      retryWhileLocked('unable to lock database', [
        'sh',
        '-c',
        'LC_ALL=C pacman -S --noconfirm --needed "$@" || LC_ALL=C pacman -Sy --noconfirm --needed "$@"',
        'sh',
        ...packages,
      ]),
  },
  {
    ids: ['opensuse', 'opensuse-leap', 'opensuse-tumbleweed', 'suse', 'sles'],
    engine: ['docker'],
    appArmor: 'apparmor-parser',
    install: (packages) => [
      'env',
      `ZYPP_LOCK_TIMEOUT=${lockWait}`,
      'zypper',
      '--non-interactive',
      'install',
      '--no-recommends',
      ...packages,
    ],
  },
]

/** The host's own distribution, else the nearest of those it descends from. */
function distributionOf({ os }: HostProbe): Distribution | undefined {
  for (const id of [os.id, ...os.like]) {
    const found = distributions.find((distribution) => distribution.ids.includes(id))
    if (found !== undefined) return found
  }
  return undefined
}

/** What is to be installed: the engine where there is none, and what it lacks to run containers. */
export function installPackages(probe: HostProbe): Step[] {
  const engineMissing = !probe.daemon && probe.engine?.version === undefined
  if (!engineMissing && !probe.appArmorMissing) return []
  const distribution = distributionOf(probe)
  if (distribution === undefined) {
    if (!engineMissing) return []
    throw new UserError('unsupported', `fleet cannot install Docker on ${probe.os.name}`, {
      hint: 'install dockerd and the docker command by hand, then run this again',
    })
  }
  const { engine, appArmor } = distribution
  const packages = [
    ...(engineMissing ? engine : []),
    ...(probe.appArmorMissing && appArmor !== undefined ? [appArmor] : []),
  ]
  if (packages.length === 0) return []
  return [
    ...(distribution.prepare?.(probe) ?? []),
    { why: `install ${packages.join(', ')}`, command: distribution.install(packages) },
  ]
}
