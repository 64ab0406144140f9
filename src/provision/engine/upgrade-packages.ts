import { UserError } from '../../errors.ts'
import { defaultSocket } from '../../machine/machine.ts'
import type { HostProbe } from '../host/probe.ts'
import type { Step } from '../host/distributions.ts'
import { shellFunctions } from '../host/shell-functions.ts'

/** The engine's package on a host: its installed version, and the version that the host can install. */
export interface PackageState {
  readonly package: string
  /** The installed version in the package manager's format: `5:28.2.2-1~debian.12~bookworm`. */
  readonly installed: string
  /** The version to install; absent if there is none. */
  readonly candidate?: string
  /** Whether the candidate is newer than, the same as, or older than the installed version. */
  readonly order: 'newer' | 'same' | 'older' | 'none'
  /** Packages of the engine that the user has put on hold (`apt-mark hold`). */
  readonly held: readonly string[]
}

/** An upgrade of an engine. */
export interface EngineUpgrade {
  readonly package: string
  readonly from: string
  readonly to: string
}

/** Returns the name of the engine's package on a host. Throws kind `unsupported` if fleet cannot upgrade it. */
function packageOf({ os, daemon, engineFromDocker }: HostProbe): string {
  const isDebian = [os.id, ...os.like].some((id) => id === 'debian' || id === 'ubuntu')
  if (!daemon || !isDebian) {
    throw new UserError(
      'unsupported',
      daemon ? `fleet cannot upgrade Docker on ${os.name}` : 'the host has no Docker engine',
      {
        hint: daemon
          ? "upgrade Docker with the host's package manager, then run fleet refresh"
          : 'to install Docker: fleet provision NAME',
      },
    )
  }
  return engineFromDocker ? 'docker-ce' : 'docker.io'
}

const inspectScript = `${shellFunctions}
name=$1 wanted=$2
[ "$3" = refreshed ] || { apt update || exit; } >&2
say() { printf 'fleet %s=%s\\n' "$1" "$2"; }
installed=$(dpkg-query -W -f '\${Version}' "$name") || { echo "$name is not installed as a package" >&2; exit 1; }
say package "$name"
say installed "$installed"
for one in $(apt-mark showhold); do
  case $one in "$name" | docker-ce-cli | docker-cli | containerd | containerd.io) say held "$one" ;; esac
done
if [ -n "$wanted" ]; then
  candidate=$(apt-cache madison "$name" | awk '{ print $3 }' | newest "$wanted" 2>/run/fleet-upgrade.error) ||
  { sed "s/docker-ce/$name/" /run/fleet-upgrade.error >&2; exit 1; }
else candidate=$(apt-cache policy "$name" | sed -n 's/^ *Candidate: //p'); fi
case $candidate in '' | '(none)') exit 0 ;; esac
say candidate "$candidate"
if dpkg --compare-versions "$candidate" gt "$installed"; then say order newer
elif dpkg --compare-versions "$candidate" eq "$installed"; then say order same
else say order older; fi
`

/**
 * Returns the step that prints the input of {@link parsePackageState}. The step refreshes the host's package lists,
 * unless `refreshed` says that another step has just done so.
 */
export const inspectPackages = (
  probe: HostProbe,
  version: string | undefined,
  { refreshed }: { readonly refreshed: boolean },
): Step => ({
  description: refreshed ? 'inspect the packages' : 'refresh the package lists',
  command: [
    ...['sh', '-c', inspectScript, 'sh', packageOf(probe), version ?? ''],
    refreshed ? 'refreshed' : '',
  ],
})

/** Parses the output of {@link inspectPackages}. */
export function parsePackageState(output: string): PackageState {
  const found = Array.from(
    output.matchAll(/^fleet ([a-z]+)=([\w.+:~-]+)$/gm),
    ([, key = '', value = '']) => [key, value] as const,
  )
  const values = new Map(found)
  const order = values.get('order')
  const candidate = values.get('candidate')
  return {
    package: values.get('package') ?? '',
    installed: values.get('installed') ?? '',
    ...(candidate !== undefined && { candidate }),
    order: order === 'newer' || order === 'same' || order === 'older' ? order : 'none',
    held: found.filter(([key]) => key === 'held').map(([, value]) => value),
  }
}

/**
 * Returns the upgrade of an engine; undefined if the engine already has the wanted version (the newest version if
 * `wanted` is undefined). Throws kind `failed` for packages on hold, for a downgrade, and if no package source has the
 * package.
 */
export function decideUpgrade(
  state: PackageState,
  wanted: string | undefined,
): EngineUpgrade | undefined {
  const { package: name, installed, candidate, order, held } = state
  if (order === 'same') return undefined
  if (candidate === undefined) {
    throw new UserError('failed', `no package source on the host provides ${name}`, {
      hint: 'check /etc/apt/sources.list and /etc/apt/sources.list.d on the host',
    })
  }
  if (order === 'older') {
    if (wanted === undefined) return undefined
    throw new UserError(
      'failed',
      `${name} ${installed} is newer than ${candidate}, and fleet does not downgrade engines`,
      { hint: 'to install an older engine, remove the newer one by hand first' },
    )
  }
  if (held.length > 0) {
    throw new UserError(
      'failed',
      `the engine was not upgraded, because packages are on hold on the host: ${held.join(', ')}`,
      {
        hint: `to allow the upgrade, run on the host: sudo apt-mark unhold ${held.join(' ')}`,
      },
    )
  }
  return { package: name, from: installed, to: candidate }
}

/** How long containers may take to become healthy again, in seconds. */
const healthTimeout = 180

const upgradeScript = `${shellFunctions}
trap '' HUP PIPE
name=$1 version=$2 list=/run/fleet-upgrade.containers
ask() { docker -H unix://${defaultSocket} "$@" </dev/null 2>/dev/null; }
state() { ask inspect --format '{{.State.Running}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$1"; }
nameof() { ask inspect --format '{{.Name}}' "$1" | sed 's,^/,,'; }
all_run() { while read -r id was; do case $(state "$id") in '' | true*) ;; *) return 1 ;; esac; done <$list; }
# A run that was killed left the list of what ran before it.
if [ ! -e $list ]; then
  for id in $(ask ps --quiet --no-trunc); do echo "$id $(state "$id")"; done >$list.new
  mv $list.new $list
fi
[ -z "$(dpkg --audit)" ] || dpkg --configure -a --force-confold || exit
set -- "$name=$version"
if [ "$name" = docker-ce ] && dpkg-query -W docker-ce-cli >/dev/null 2>&1; then set -- "$@" "docker-ce-cli=$version"; fi
if [ "$name" = docker.io ] && dpkg-query -W docker-cli >/dev/null 2>&1; then set -- "$@" docker-cli; fi
if ! apt_install --only-upgrade "$@"; then
  # If nothing has stopped, the next run must not start what is stopped by hand until then.
  if ask version >/dev/null && all_run; then rm -f $list; fi
  exit 1
fi
running=$(ask version --format '{{.Server.Version}}')
case $(dockerd --version 2>/dev/null) in *" $running,"*) ;; *)
  if [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl restart docker.service; fi ;;
esac
tries=0
until ask version >/dev/null; do
  tries=$((tries + 1))
  if [ $tries -gt 60 ]; then
    echo 'the engine does not answer after the upgrade:' >&2
    journalctl --no-pager -o cat -n 10 -u docker.service >&2 2>/dev/null
    exit 1
  fi
  sleep 1
done
while read -r id was; do
  case $(state "$id") in false*) ask start "$id" >/dev/null ;; esac
done <$list
tries=0
while :; do
  bad= waiting=
  while read -r id was; do
    now=$(state "$id")
    case $now in
      '' | 'true ' | 'true healthy' | "$was") ;;
      'true starting') waiting=yes ;;
      true*) bad="$bad $(nameof "$id") is $(echo "$now" | cut -d ' ' -f 2);" ;;
      *) bad="$bad $(nameof "$id") is not running;" ;;
    esac
  done <$list
  [ -n "$waiting" ] && [ $tries -lt ${healthTimeout} ] || break
  tries=$((tries + 1))
  sleep 1
done
rm -f $list
[ -z "$waiting" ] || bad="$bad some containers are still starting;"
if [ -n "$bad" ]; then
  echo "the engine was upgraded, but some containers are not healthy or not running:\${bad%;}" >&2
  exit 1
fi
`

/**
 * Returns the step that upgrades the engine. It fails if containers that were running before are not running or are
 * unhealthy afterwards.
 */
export const upgradePackage = ({ package: name, from, to }: EngineUpgrade): Step => ({
  description: `upgrade ${name} ${from} -> ${to}, which restarts the engine and its containers`,
  command: ['sh', '-c', upgradeScript, 'sh', name, to],
})
