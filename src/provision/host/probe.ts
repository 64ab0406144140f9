import { defaultSocket } from '../../machine/machine.ts'
import { printable } from '../../machine/hidden-characters.ts'

/** The properties of a host on which provisioning depends. */
export interface HostProbe {
  readonly os: {
    /** `ID` of os-release(5), such as `debian`. */
    readonly id: string
    /** `ID_LIKE` of os-release(5): distributions that this one is derived from, closest first. */
    readonly like: readonly string[]
    readonly version?: string
    /** Display name: `Debian GNU/Linux 12 (bookworm)`. */
    readonly name: string
  }
  /** In Docker's terms (GOARCH): `amd64`, `arm64`. */
  readonly arch: string
  readonly kernel: string
  readonly init: 'systemd' | 'openrc' | 'none'
  readonly user: string
  readonly root: boolean
  /** Whether the user can become root without a password. */
  readonly sudo: boolean
  /** What sudo requires before it runs a command: a password, or a terminal (requiretty). */
  readonly sudoNeeds?: 'password' | 'terminal'
  /** Whether the user is in the docker group, as of the next login. */
  readonly dockerGroup: boolean
  /** Whether the kernel enforces AppArmor, but the engine cannot load its profile. */
  readonly appArmorMissing: boolean
  readonly cloudInit: 'absent' | 'running' | 'done'
  /** Whether Alpine's community repository, which contains docker, is enabled. */
  readonly alpineCommunity: boolean
  /** Whether the docker CLI is installed. */
  readonly cli: boolean
  /** Whether dockerd is installed, running or not. */
  readonly daemon: boolean
  /** Whether dockerd is a package from Docker's own repository. */
  readonly engineFromDocker: boolean
  /** The init system's docker service, if it exists. */
  readonly service?: { readonly active: boolean; readonly enabled: boolean }
  /** The engine's socket, if it exists. */
  readonly engine?: {
    readonly socket: string
    /** The engine's version; absent if it did not answer, or no program could query it. */
    readonly version?: string
    /** Whether the user can open the socket without becoming root. */
    readonly direct: boolean
  }
}

/** Maximum length of a value, in characters; the same as for values in host records. */
const maxValueLength = 255

/**
 * A script for `sh -s [SOCKET]` that prints the input of {@link parseHostProbe}, and changes nothing. It is run by sh,
 * so the login shell does not matter; it uses only POSIX features, for dash, ash and bash. Without an argument, it
 * looks for the engine's socket: DOCKER_HOST, the default socket, the socket of a rootless engine, and Podman's socket.
 */
export const probeScript = String.raw`
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
has() { command -v "$1" >/dev/null 2>&1; }
say() { printf 'fleet %s=%s\n' "$1" "$2"; }
limit() { if has timeout; then timeout 10 "$@"; else "$@"; fi; }

for file in /etc/os-release /usr/lib/os-release; do
  [ -r "$file" ] && . "$file" && break
done
say os.id "$ID"; say os.like "$ID_LIKE"; say os.version "$VERSION_ID"; say os.name "$PRETTY_NAME"
say system "$(uname -s)"
say machine "$(uname -m)"
say kernel "$(uname -r)"

uid=$(id -u)
user=$(id -un)
say uid "$uid"; say user "$user"
sudo=
if [ "$uid" != 0 ] && has sudo; then
  if refusal=$(LC_ALL=C sudo -n true </dev/null 2>&1); then sudo='sudo -n'
  else
    case $refusal in
      *'password is required'*) say sudo.needs password ;;
      *'must have a tty'* | *'no tty present'*) say sudo.needs terminal ;;
    esac
  fi
fi
say sudo "$sudo"
say groups "$(id -nG "$user")"

read -r apparmor 2>/dev/null </sys/module/apparmor/parameters/enabled
say apparmor "$apparmor"
has apparmor_parser && say apparmor.parser yes
[ -r /etc/apk/repositories ] && grep -q '^[^#].*/community' /etc/apk/repositories && say apk.community yes

if has cloud-init; then
  if [ -e /run/cloud-init/result.json ]; then say cloud-init done
  elif [ -e /run/cloud-init/status.json ]; then say cloud-init running # an early error does not end it
  else say cloud-init "$(limit cloud-init status </dev/null 2>/dev/null | sed -n 's/^status: *//p')"; fi
fi

if [ -d /run/systemd/system ]; then
  say init systemd
  say service.enabled "$(systemctl is-enabled docker.service 2>/dev/null)"
  say service.active "$(systemctl is-active docker.service 2>/dev/null)"
elif [ -e /run/openrc/softlevel ]; then
  say init openrc
  if [ -e /etc/init.d/docker ]; then
    if [ -e /etc/runlevels/default/docker ]; then say service.enabled enabled; else say service.enabled disabled; fi
    rc-service docker status >/dev/null 2>&1 && say service.active active
  fi
fi

has docker && say cli yes
has dockerd && say daemon yes
if dpkg-query -W -f '${'$'}{Status}' docker-ce 2>/dev/null | grep -q ' installed$' || rpm -q docker-ce >/dev/null 2>&1; then
  say engine.docker yes
fi
version() { # PREFIX SOCKET
  version=
  if has docker; then version=$(limit $1 docker -H "unix://$2" version --format '{{.Server.Version}}' </dev/null 2>/dev/null); fi
  if [ -z "$version" ] && has curl; then # works for Podman, too
    version=$(limit $1 curl -si --unix-socket "$2" http://engine/_ping </dev/null 2>/dev/null |
      sed -n -e 's,^[Ss]erver: Docker/\([^ ]*\).*,\1,p' -e 's,^[Ss]erver: Libpod/\([^ ]*\).*,\1,p')
  fi
  if [ -z "$version" ] && has podman; then
    version=$(limit $1 podman --url "unix://$2" version --format '{{.Server.Version}}' </dev/null 2>/dev/null)
  fi
  printf '%s\n' "$version"
}
case $DOCKER_HOST in unix://*) named=${'$'}{DOCKER_HOST#unix://} ;; *) named= ;; esac
if [ $# -eq 0 ]; then
  runtime=${'$'}{XDG_RUNTIME_DIR:-/run/user/$uid}
  set -- ${'$'}{named:+"$named"} ${defaultSocket} "$runtime/docker.sock" "$HOME/.docker/run/docker.sock" \
    "$runtime/podman/podman.sock" /run/podman/podman.sock
fi
found=
for socket; do
  [ -S "$socket" ] || { [ -n "$sudo" ] && $sudo test -S "$socket"; } || continue # only root may have access to its folder
  if [ -w "$socket" ]; then direct=yes as=; else direct=no as=$sudo; fi
  answer=
  if [ $direct = yes ] || [ -n "$as" ]; then answer=$(version "$as" "$socket"); fi
  if [ -z "$found" ] || [ -n "$answer" ]; then
    say socket "$socket"; say socket.direct $direct; say engine "$answer"
    found=yes
  fi
  [ -n "$answer" ] && break
done
:
`

/** Docker's names for values of `uname -m` (moby's platform normalization). */
const architectures: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  aarch64: 'arm64',
  armv8l: 'arm64',
  armv7l: 'arm',
  armv6l: 'arm',
  i386: '386',
  i686: '386',
  loongarch64: 'loong64',
}

/** States of cloud-init in which it still changes the host ("not run" may last forever). */
const busyStates = new Set(['running', 'degraded running'])

/**
 * Parses the output of {@link probeScript}. Other lines, such as a shell's greeting, are ignored.
 * Control characters are removed, because the values are shown on a terminal.
 */
export function parseHostProbe(output: string): HostProbe {
  const values = new Map<string, string>()
  for (const line of output.split('\n')) {
    const match = /^fleet ([a-z.-]+)=(.*)$/.exec(line)
    if (match?.[1] !== undefined && match[2])
      values.set(match[1], printable(match[2], maxValueLength))
  }
  const get = (key: string): string => values.get(key) ?? ''
  const machine = get('machine')
  const system = get('system')
  return {
    os: {
      id: get('os.id') || system.toLowerCase(),
      like: get('os.like').split(' ').filter(Boolean),
      ...(values.has('os.version') && { version: get('os.version') }),
      name: get('os.name') || system,
    },
    arch: architectures[machine] ?? machine,
    kernel: get('kernel'),
    init: get('init') === 'systemd' ? 'systemd' : get('init') === 'openrc' ? 'openrc' : 'none',
    user: get('user'),
    root: get('uid') === '0',
    sudo: values.has('sudo'),
    ...needsOf(values.get('sudo.needs')),
    dockerGroup: get('groups').split(' ').includes('docker'),
    appArmorMissing: get('apparmor') === 'Y' && !values.has('apparmor.parser'),
    cloudInit: cloudInitOf(values.get('cloud-init')),
    alpineCommunity: values.has('apk.community'),
    cli: values.has('cli'),
    daemon: values.has('daemon'),
    engineFromDocker: values.has('engine.docker'),
    ...serviceOf(get('service.enabled'), get('service.active')),
    ...engineOf(values),
  }
}

const needsOf = (needs: string | undefined): Pick<HostProbe, 'sudoNeeds'> =>
  needs === 'password' || needs === 'terminal' ? { sudoNeeds: needs } : {}

function cloudInitOf(status: string | undefined): HostProbe['cloudInit'] {
  if (status === undefined) return 'absent'
  return busyStates.has(status) ? 'running' : 'done'
}

function serviceOf(enabled: string, active: string): Pick<HostProbe, 'service'> {
  if (enabled === '' || enabled === 'not-found') return {}
  return {
    service: {
      active: active === 'active',
      enabled: enabled !== 'disabled' && !enabled.startsWith('masked'),
    },
  }
}

function engineOf(values: ReadonlyMap<string, string>): Pick<HostProbe, 'engine'> {
  const socket = values.get('socket')
  if (socket === undefined) return {}
  const version = values.get('engine')
  const direct = values.get('socket.direct') === 'yes'
  return { engine: { socket, direct, ...(version !== undefined && { version }) } }
}
