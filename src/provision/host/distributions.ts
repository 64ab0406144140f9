import type { EngineSpec } from '../../machine/engine-spec.ts'
import type { HostProbe } from './probe.ts'
import { lockTimeout } from './shell-functions.ts'

/** A change to a host: a POSIX shell script that is run as root after {@link shellFunctions}. */
export interface Task {
  /** Completes the sentence "fleet will …": `install docker.io`. */
  readonly description: string
  /** The shell script. A non-zero exit code means failure. */
  readonly script: string
  /** Arguments of the script (`"$@"`). */
  readonly args: readonly string[]
}

/** Docker's own packages for a family of distributions. */
interface DockerRepository {
  /** Adds Docker's repository, or its copy at a URL. */
  readonly add: (channel: 'stable' | 'test', url: string | undefined) => Task
  /** Script that installs `"$@"`; the first argument is the version or a version prefix. */
  readonly installVersion: string
}

/** How to install packages on a family of distributions. */
export interface Distribution {
  /** `ID`s of os-release(5); other distributions name one of them in `ID_LIKE`. */
  readonly ids: readonly string[]
  /**
   * Packages of the distribution's engine, and further packages that containers need; absent if only
   * Docker's own packages are available.
   */
  readonly engine?: readonly string[]
  /** The package with apparmor_parser, if the distribution has AppArmor. */
  readonly appArmor?: string
  /** The task required before packages can be installed. */
  readonly prepare?: Task
  /** Returns whether the preparation has already been done (default: never). */
  readonly isPrepared?: (probe: HostProbe) => boolean
  /** Script that installs `"$@"`. */
  readonly install: string
  readonly docker?: DockerRepository
}

// Docker's own repository: its URLs and the fingerprints of its keys are listed at docs.docker.com/engine/install.
const dockerUrl = 'https://download.docker.com/linux'
const dockerPackages = ['docker-ce', 'docker-ce-cli', 'containerd.io', 'iptables']

/** Returns the URL without trailing slashes. The schema does not allow any characters that a shell interprets. */
const repositoryUrl = (url: string | undefined): string => url?.replace(/\/+$/, '') ?? dockerUrl

const copyOf = (url: string | undefined): string => (url === undefined ? '' : ` from ${url}`)

const aptRepository: DockerRepository = {
  add: (channel, url) => ({
    description: `add Docker's package repository, channel ${channel} (/etc/apt/sources.list.d/docker.list)${copyOf(url)}`,
    script: `. /etc/os-release
case " $ID $ID_LIKE " in
  *' ubuntu '*) system=ubuntu codename=\${UBUNTU_CODENAME:-$VERSION_CODENAME} ;;
  *) system=debian codename=\${DEBIAN_CODENAME:-$VERSION_CODENAME} ;;
esac
key=/etc/apt/keyrings/docker.asc list=/etc/apt/sources.list.d/docker.list
apt_install ca-certificates curl gpg &&
  docker_key "${repositoryUrl(url)}/$system/gpg" 9DC858229FC7DD38854AE2D88D81803C0EBFCD88 "$key" || exit
echo "deb [arch=$(dpkg --print-architecture) signed-by=$key] ${repositoryUrl(url)}/$system $codename $1" >$list
# apt calls lists that it could not get a success; those that it refuses would keep all others from being refreshed
{ apt update && apt-cache show docker-ce >/dev/null; } || { rm -f $list; false; }`,
    args: [channel],
  }),
  installVersion: `version=$(apt-cache madison docker-ce | awk '{ print $3 }' | newest "$1") || exit
shift
for package; do
  shift
  case $package in docker-ce*) package=$package=$version ;; esac
  set -- "$@" "$package"
done
apt_install "$@"`,
}

const dnfRepository = (system: 'centos' | 'fedora' | 'rhel'): DockerRepository => ({
  add: (channel, url) => ({
    description: `add Docker's package repository, channel ${channel} (/etc/yum.repos.d/docker-ce.repo)${copyOf(url)}`,
    script: `key=/etc/pki/rpm-gpg/docker.asc
{ has gpg || dnf install gnupg2; } &&
  docker_key ${repositoryUrl(url)}/${system}/gpg 060A61C51B558A7F742B77AAC52FEB6B621E9F35 $key &&
  cat >/etc/yum.repos.d/docker-ce.repo <<END
[docker-ce-$1]
name=Docker CE $1
baseurl=${repositoryUrl(url)}/${system}/\\$releasever/\\$basearch/$1
gpgcheck=1
gpgkey=file://$key
END`,
    args: [channel],
  }),
  installVersion: `version=$(dnf -q list --showduplicates docker-ce | awk '/^docker-ce[.]/ { print $2 }' | newest "$1") || exit
version=\${version#*:}
shift
for package; do
  shift
  case $package in docker-ce*) package=$package-$version ;; esac
  set -- "$@" "$package"
done
dnf install "$@"`,
})

const dnfInstall = 'dnf install "$@"'

/**
 * Arch does not support refreshing the package lists without a full upgrade, so the package lists are refreshed only if
 * necessary.
 */
const pacmanInstall = `for lists in -S -Sy; do
  while_locked 'unable to lock database' pacman $lists --noconfirm --needed "$@" && break
done`

export const distributions: readonly Distribution[] = [
  {
    ids: ['debian', 'ubuntu'],
    engine: ['docker.io', 'iptables', 'ca-certificates'],
    appArmor: 'apparmor',
    prepare: {
      description: 'refresh the package lists (apt-get update)',
      script: 'apt update',
      args: [],
    },
    // In newer releases, the docker CLI is a separate package that docker.io only recommends.
    install: `case " $* " in *' docker.io '*) apt-cache show docker-cli >/dev/null 2>&1 && set -- "$@" docker-cli ;; esac
apt_install "$@"`,
    docker: aptRepository,
  },
  {
    ids: ['fedora'],
    engine: ['moby-engine'],
    install: dnfInstall,
    docker: dnfRepository('fedora'),
  },
  { ids: ['amzn'], engine: ['docker'], install: dnfInstall },
  { ids: ['rhel'], install: dnfInstall, docker: dnfRepository('rhel') },
  {
    ids: ['centos', 'rocky', 'almalinux', 'ol'],
    install: dnfInstall,
    docker: dnfRepository('centos'),
  },
  {
    ids: ['alpine'],
    engine: ['docker', 'ca-certificates'],
    appArmor: 'apparmor',
    prepare: {
      description: "enable Alpine's community repository (/etc/apk/repositories)",
      script: `grep -q '^[^#].*/community' /etc/apk/repositories ||
  sed -n 's,^\\([^#].*\\)/main/*$,\\1/community,p' /etc/apk/repositories | head -n 1 >>/etc/apk/repositories`,
      args: [],
    },
    isPrepared: ({ alpineCommunity }) => alpineCommunity,
    install: `apk --wait ${lockTimeout} add "$@"`,
  },
  { ids: ['arch'], engine: ['docker'], appArmor: 'apparmor', install: pacmanInstall },
  {
    ids: ['opensuse', 'opensuse-leap', 'opensuse-tumbleweed', 'suse', 'sles'],
    engine: ['docker'],
    appArmor: 'apparmor-parser',
    install: `ZYPP_LOCK_TIMEOUT=${lockTimeout} zypper --non-interactive install --no-recommends "$@"`,
  },
]

/** Returns the tasks that install the engine; `undefined` if Docker has no repository for the distribution. */
export function engineTasks(
  { engine, install, docker }: Distribution,
  { version, channel, repository }: EngineSpec,
): readonly Task[] | undefined {
  const own = channel === 'stable' || channel === 'test' || (version ?? repository) !== undefined
  if (engine !== undefined && !own) return [installTask(install, engine)]
  if (docker === undefined) return undefined
  return [
    docker.add(channel === 'test' ? 'test' : 'stable', repository),
    version === undefined
      ? installTask(install, dockerPackages)
      : {
          description: `install ${dockerPackages.join(', ')} (the newest ${version} release)`,
          script: docker.installVersion,
          args: [version, ...dockerPackages],
        },
  ]
}

/**
 * Returns the tasks that upgrade an engine from Docker's repository; `undefined` if Docker has no repository for the
 * distribution.
 */
export function upgradeTasks(
  { docker }: Distribution,
  { version = '', channel, repository }: EngineSpec,
): readonly Task[] | undefined {
  return (
    docker && [
      docker.add(channel === 'test' ? 'test' : 'stable', repository),
      {
        description: `upgrade docker-ce to the newest ${version} release, which restarts the engine and its containers`,
        script: docker.installVersion,
        args: [version, ...dockerPackages],
      },
    ]
  )
}

/** Returns the task that installs packages. */
export const installTask = (install: string, packages: readonly string[]): Task => ({
  description: `install ${packages.join(', ')}`,
  script: install,
  args: packages,
})

/** A change to a host: its description, and the command. */
export interface Step {
  /** Completes the sentence "fleet will …": `install docker.io`. */
  readonly description: string
  /** The command and its arguments, with `sudo` if necessary. */
  readonly command: readonly string[]
  /** Set if the command must be run with `sudo`, which asks for a password or requires a terminal on this host. */
  readonly sudo?: 'password' | 'terminal'
}
