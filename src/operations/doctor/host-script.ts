import { printable } from '../../machine/hidden-characters.ts'
import { defaultSocket } from '../../machine/machine.ts'

/** The size and the free space of a file system. */
export interface Room {
  readonly path: string
  /** Both sizes are in bytes. */
  readonly size: number
  readonly free: number
  /** Absent if the file system has no fixed number of inodes. */
  readonly inodes?: { readonly all: number; readonly free: number } | undefined
}

/** The owner, group and mode of a path. */
export interface Rights {
  readonly owner: string
  readonly group: string
  /** The mode in octal, such as 660. */
  readonly mode: string
}

/** The facts that the script has found on a host. The facts of parts that it did not reach are absent. */
export interface HostFacts {
  /** The name of the part that was running when the time limit expired; absent if the script completed. */
  readonly hungAt?: string | undefined
  /** The time of the host's clock, in seconds since 1970. */
  readonly clock?: number | undefined
  readonly timeSynchronized?: boolean | undefined
  readonly user?: string | undefined
  readonly isRoot: boolean
  readonly home?: { readonly path: string; readonly state: 'ok' | 'missing' | 'unwritable' }
  /** The rights of the home directory, .ssh and authorized_keys, keyed by path. */
  readonly keyFiles: ReadonlyMap<string, Rights>
  /** The fingerprints (`SHA256:…`) of the keys in authorized_keys. */
  readonly authorized: readonly string[]
  readonly accountExpires?: string | undefined
  /** `none` if sudo is not installed. */
  readonly sudo?: 'works' | 'password' | 'terminal' | 'denied' | 'none' | 'hung' | undefined
  readonly groups: readonly string[]
  readonly cloudInit?:
    | { readonly state: 'absent' | 'running' | 'done'; readonly errors: readonly string[] }
    | undefined
  readonly rooms: readonly Room[]
  readonly socket?:
    | {
        readonly exists: boolean
        readonly direct: boolean
        readonly rights?: Rights | undefined
        /** Whether an engine answers on the socket; absent if unknown, for example because the host has no curl. */
        readonly answers?: 'yes' | 'refused' | 'hung' | undefined
      }
    | undefined
  readonly docker?:
    | {
        readonly cli: boolean
        readonly daemon: boolean
        readonly isRunning: boolean
        /** The state of the systemd service: `active`, `failed` and so on; empty if the host has no systemd. */
        readonly service: string
      }
    | undefined
  /** The version of the Compose plugin; empty if it is not installed, absent if the command timed out. */
  readonly compose?: string | undefined
  /** sshd's MaxStartups; absent if the user may not read its settings. */
  readonly maxStartups?: string | undefined
}

/** How long one part of the script may take, in seconds. */
const partSeconds = 10

/**
 * A POSIX script for `sh -s SOCKET [DATA-ROOT]` that prints the facts for {@link parseHostFacts}, and changes nothing.
 * It prints the name of each part before running it, so that a part that hangs can be identified.
 */
export const hostScript = String.raw`
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C; export LC_ALL
has() { command -v "$1" >/dev/null 2>&1; }
say() { printf 'fleet %s=%s\n' "$1" "$2"; }
at() { say at "$1"; }
limit() { if has timeout; then timeout ${partSeconds} "$@"; else "$@"; fi; }
rights() { [ -e "$1" ] && say rights "$(limit stat -c '%U %G %a' "$1" 2>/dev/null) $1"; }
room() {
  dir=$1
  while [ -n "$dir" ] && [ ! -e "$dir" ]; do dir=${'$'}{dir%/*}; done
  [ -n "$dir" ] || dir=/
  say room "$(limit df -Pk "$dir" 2>/dev/null | awk 'NR == 2 { print $2, $4 }') $(limit df -Pi "$dir" 2>/dev/null | awk 'NR == 2 { print $2, $4 }') $1"
}

say clock "$(date -u +%s)"
at 'the user database'
uid=$(id -u); user=$(id -un); say uid "$uid"; say user "$user"; say groups "$(id -nG "$user")"
at 'the home directory'
if [ ! -d "$HOME" ]; then state=missing; elif [ ! -w "$HOME" ]; then state=unwritable; else state=ok; fi
say home "$state $HOME"
rights "$HOME"; rights "$HOME/.ssh"; rights "$HOME/.ssh/authorized_keys"
[ -r "$HOME/.ssh/authorized_keys" ] && has ssh-keygen &&
  say authorized "$(limit ssh-keygen -l -f "$HOME/.ssh/authorized_keys" 2>/dev/null | awk '{ print $2 }' | head -n 200 | tr '\n' ' ')"
at sudo
sudo=
if [ "$uid" != 0 ]; then
  if ! has sudo; then say sudo none
  elif refusal=$(limit sudo -n true </dev/null 2>&1); then sudo='sudo -n'; say sudo works
  elif [ $? = 124 ]; then say sudo hung
  else
    case $refusal in
      *'password is required'*) say sudo password ;;
      *'must have a tty'* | *'no tty present'*) say sudo terminal ;;
      *) say sudo denied ;;
    esac
  fi
fi
at 'the account'
has chage && say expires "$(limit chage -l "$user" 2>/dev/null | sed -n 's/^Account expires[[:space:]]*: //p')"
at 'the time service'
has timedatectl && say synchronized "$(limit timedatectl show -p NTPSynchronized --value 2>/dev/null)"
at 'cloud-init'
if [ -e /run/cloud-init/result.json ]; then
  say cloud-init done
  say cloud-init.errors "$(tr -d '\n' </run/cloud-init/result.json | sed -n 's/.*"errors": *\[\([^]]*\)\].*/\1/p' | cut -c1-2000)"
elif [ -e /run/cloud-init/status.json ]; then say cloud-init running
else say cloud-init absent
fi
socket=${'$'}{1:-${defaultSocket}}
root=$2
if [ -z "$root" ] && [ -r /etc/docker/daemon.json ]; then
  root=$(sed -n 's/.*"data-root" *: *"\([^"]*\)".*/\1/p' /etc/docker/daemon.json | head -n 1)
fi
at "the data root's file system"
room "${'$'}{root:-/var/lib/docker}"
at "the home directory's file system"
room "$HOME"
at 'the root file system'
room /
at 'the engine socket'
as=
if [ -S "$socket" ]; then
  if [ -r "$socket" ] && [ -w "$socket" ]; then say socket direct; else say socket indirect; as=$sudo; fi
elif [ -n "$sudo" ] && limit $sudo test -S "$socket"; then say socket indirect; as=$sudo
else say socket missing
fi
say socket.rights "$(limit $as stat -L -c '%U %G %a' "$socket" 2>/dev/null)"
if has curl && { [ -n "$as" ] || [ -w "$socket" ]; }; then
  limit $as curl -s -o /dev/null --max-time 4 --unix-socket "$socket" http://engine/_ping </dev/null >/dev/null 2>&1
  say socket.ping $?
fi
at 'the engine'
has docker && say cli yes
has dockerd && say daemon yes
pidof dockerd >/dev/null 2>&1 && say daemon.running yes
[ -d /run/systemd/system ] && say service "$(limit systemctl is-active docker.service 2>/dev/null)"
at 'docker compose'
version=$(limit docker compose version --short </dev/null 2>/dev/null)
[ $? = 124 ] || say compose "$(printf '%s\n' "$version" | head -n 1)"
at 'the sshd settings'
if [ "$uid" = 0 ]; then settings='sshd -T'; else settings=${'$'}{sudo:+"$sudo sshd -T"}; fi
[ -n "$settings" ] && say maxstartups "$(limit $settings </dev/null 2>/dev/null | sed -n 's/^maxstartups //p')"
at end
`

const maxValue = 4_000

function rightsOf(words: string): Rights | undefined {
  const [, owner, group, mode] = /^(\S+) (\S+) ([0-7]{1,5})(?: |$)/.exec(words) ?? []
  return owner && group && mode ? { owner, group, mode } : undefined
}

/** Parses `SIZE FREE [INODES FREE] PATH`, with sizes in KiB. */
function diskSpaceOf(words: string): Room | undefined {
  const [, size, free, all, freeInodes, path] =
    /^(\d{1,15}) (\d{1,15}) (?:(\d{1,15}) (\d{1,15}) )?\s*(\S.*)$/.exec(words) ?? []
  if (size === undefined || free === undefined || path === undefined) return undefined
  const inodes = Number(all) > 0 ? { all: Number(all), free: Number(freeInodes) } : undefined
  return { path, size: Number(size) * 1024, free: Number(free) * 1024, inodes }
}

/** Parses the items of a JSON array whose brackets have been removed. Text that is not valid JSON becomes one item. */
function stringsOf(list: string): readonly string[] {
  if (list.trim() === '') return []
  try {
    const parsed: unknown = JSON.parse(`[${list}]`)
    return Array.isArray(parsed) ? parsed.map((one) => printable(String(one), 300)) : []
  } catch {
    return [printable(list, 300)]
  }
}

const sudoAnswers = ['works', 'password', 'terminal', 'denied', 'none', 'hung'] as const
const cloudInitStates = ['absent', 'running', 'done'] as const
const homeStates = ['ok', 'missing', 'unwritable'] as const
const oneOf = <Word extends string>(words: readonly Word[], word: string | undefined) =>
  words.find((one) => one === word)

/**
 * Parses the output of {@link hostScript}, which may be incomplete. Lines that the script did not print are ignored.
 */
export function parseHostFacts(output: string): HostFacts {
  const values = new Map<string, string>()
  const [rooms, rights]: [Room[], Map<string, Rights>] = [[], new Map()]
  for (const line of output.split('\n')) {
    const [, key, value = ''] = /^fleet ([a-z.-]+)=(.*)$/.exec(line) ?? []
    if (key === undefined) continue
    const text = printable(value, maxValue)
    if (key === 'room') rooms.push(...[diskSpaceOf(text) ?? []].flat())
    else if (key === 'rights') {
      const found = rightsOf(text)
      if (found !== undefined) rights.set(text.split(' ').slice(3).join(' '), found)
    } else values.set(key, text)
  }
  const get = (key: string) => values.get(key)
  const [, state, path] = /^(\w+) (.+)$/.exec(get('home') ?? '') ?? []
  const homeState = oneOf(homeStates, state)
  const cloudInit = oneOf(cloudInitStates, get('cloud-init'))
  const clock = Number(get('clock'))
  const hungAt = get('at')
  const ping = get('socket.ping')
  const synchronized = get('synchronized')
  return {
    hungAt: hungAt === 'end' ? undefined : (hungAt ?? 'the login shell'),
    clock: /^\d{1,12}$/.test(get('clock') ?? '') ? clock : undefined,
    timeSynchronized: synchronized ? synchronized === 'yes' : undefined,
    user: get('user') || undefined,
    isRoot: get('uid') === '0',
    ...(homeState !== undefined && path !== undefined && { home: { path, state: homeState } }),
    keyFiles: rights,
    authorized: (get('authorized') ?? '').split(' ').filter((one) => one.startsWith('SHA256:')),
    accountExpires: get('expires') || undefined,
    sudo: oneOf(sudoAnswers, get('sudo')),
    groups: (get('groups') ?? '').split(' ').filter(Boolean),
    cloudInit: cloudInit && {
      state: cloudInit,
      errors: stringsOf(get('cloud-init.errors') ?? ''),
    },
    rooms,
    socket: values.has('socket')
      ? {
          exists: get('socket') !== 'missing',
          direct: get('socket') === 'direct',
          rights: rightsOf(get('socket.rights') ?? ''),
          answers:
            ping === '0' ? 'yes' : ping === '7' ? 'refused' : ping === '28' ? 'hung' : undefined,
        }
      : undefined,
    docker: ['docker compose', 'the sshd settings', 'end'].includes(hungAt ?? '')
      ? {
          cli: values.has('cli'),
          daemon: values.has('daemon'),
          isRunning: values.has('daemon.running'),
          service: get('service') ?? '',
        }
      : undefined,
    compose: get('compose'),
    maxStartups: get('maxstartups') || undefined,
  }
}
