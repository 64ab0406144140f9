import { createHash } from 'node:crypto'
import { UserError } from '../../../errors.ts'
import { defaultSocket } from '../../../machine/machine.ts'
import { printable } from '../../../machine/hidden-characters.ts'
import type { EngineInUse } from './daemon-config.ts'
import { type EngineEnvironment, environmentFile, parseEnvironment } from './environment-file.ts'
import { findSudo } from '../../../os/find-sudo.ts'

/** The settings of a host's engine. */
export interface EngineState {
  /** The path of daemon.json. */
  readonly file: string
  /** The content of daemon.json; empty if there is no file. */
  readonly text: string
  /** SHA-256 of daemon.json in hex; empty if there is no file. */
  readonly digest: string
  /** The environment variables in fleet's drop-in. */
  readonly environment: EngineEnvironment
  /** CA certificates that fleet installed, keyed by registry. */
  readonly certificates: Readonly<Record<string, string>>
  readonly inUse: EngineInUse
  /**
   * Whether containers keep running while the engine restarts. This requires `live-restore` and an engine that is not
   * in a swarm.
   */
  readonly keepsContainers: boolean
  /** The number of running containers. */
  readonly running: number
  /** The effect of an interrupted change: the files have been written, but the engine is not using them yet. */
  readonly pending?: 'live' | 'restart'
}

/**
 * Returns the path of the file with the CA certificates that fleet installs for a registry. The engine reads every
 * `.crt` file in its directory.
 */
export const certificateFile = (registry: string): string =>
  `/etc/docker/certs.d/${registry}/fleet-ca.crt`

/**
 * The suffix of the file next to daemon.json that exists while a change is incomplete. It contains the effect, followed
 * by the containers to start again.
 */
export const pendingSuffix = '.fleet-pending'

/** Maximum number of bytes to read from a file. */
const maxFileBytes = 1 << 20

/**
 * A script for `sh -s FILE...` that prints the input of {@link parseEngineState}, and changes nothing. The arguments
 * are certificate files. `file` in the output is daemon.json, unless the running engine was started with another
 * `--config-file`.
 */
export const engineStateScript = String.raw`
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
has() { command -v "$1" >/dev/null 2>&1; }
say() { printf 'fleet %s=%s\n' "$1" "$2"; }
${findSudo}
show() { # KEY FILE
  if [ -f "$2" ] && [ -r "$2" ]; then say "$1" "+$(head -c ${maxFileBytes} "$2" | base64 | tr -d '\n')"
  elif $sudo test -f "$2"; then
    if $sudo test -r "$2"; then say "$1" "+$($sudo head -c ${maxFileBytes} "$2" | base64 | tr -d '\n')"
    else say unreadable "$2"; fi
  elif $sudo test -e "$2"; then say irregular "$2"
  fi
}
pid=$(cat /var/run/docker.pid 2>/dev/null)
[ -n "$pid" ] && [ -d "/proc/$pid" ] || pid=$(pidof dockerd 2>/dev/null | cut -d ' ' -f 1)
file=
if [ -n "$pid" ]; then
  file=$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | sed -n -e 's/^--config-file=//p' -e '/^--config-file$/{n;p;}' | head -n 1)
fi
case $file in /*) ;; *) file=/etc/docker/daemon.json ;; esac
say file "$file"
show config "$file"
show pending "$file${pendingSuffix}"
show environment ${environmentFile}
number=0
for one; do
  show "certificate.$number" "$one"
  number=$((number + 1))
done
if has docker; then
  if [ -w ${defaultSocket} ]; then as=; fi
  $sudo docker -H unix://${defaultSocket} info --format '{{.Driver}}|{{.DockerRootDir}}|{{.LiveRestoreEnabled}}|{{.Swarm.LocalNodeState}}|{{.ContainersRunning}}' </dev/null 2>/dev/null |
    while IFS='|' read -r driver root live swarm running; do
      say driver "$driver"; say root "$root"; say live "$live"; say swarm "$swarm"; say running "$running"
    done
fi
:
`

/**
 * Parses the output of {@link engineStateScript} for the certificates of `registries`. Throws kind `credentials` for a
 * file that only root can read, and kind `failed` for a file that is not a regular file or is too large.
 */
export function parseEngineState(output: string, registries: readonly string[]): EngineState {
  const values = new Map<string, string>()
  for (const line of output.split('\n')) {
    const [, key, value] = /^fleet ([a-z0-9.]+)=(.*)$/.exec(line) ?? []
    if (key !== undefined && value) values.set(key, value)
  }
  const unreadable = values.get('unreadable')
  if (unreadable !== undefined) {
    throw new UserError('credentials', `only root can read ${printable(unreadable, 255)}`, {
      hint: 'allow the user to use sudo without a password, or log in as root',
    })
  }
  const irregular = values.get('irregular')
  if (irregular !== undefined) {
    throw new UserError(
      'failed',
      `${printable(irregular, 255)} on the host is not a regular file`,
      {
        hint: `on the host, remove ${printable(irregular, 255)} or replace it with a regular file`,
      },
    )
  }
  const contentOf = (key: string): Buffer | undefined => {
    const value = values.get(key)
    return value === undefined ? undefined : Buffer.from(value.slice(1), 'base64')
  }
  const config = contentOf('config')
  if (config !== undefined && config.length >= maxFileBytes) {
    throw new UserError('failed', 'daemon.json on the host is larger than 1 MiB', {
      hint: 'correct the file on the host by hand',
    })
  }
  const pending = contentOf('pending')?.toString().split('\n')[0]
  return {
    file: printable(values.get('file') ?? '', 4096) || '/etc/docker/daemon.json',
    text: config?.toString() ?? '',
    digest: config === undefined ? '' : createHash('sha256').update(config).digest('hex'),
    environment: parseEnvironment(contentOf('environment')?.toString() ?? ''),
    certificates: Object.fromEntries(
      registries.flatMap((registry, index) => {
        const content = contentOf(`certificate.${index}`)
        return content === undefined ? [] : [[registry, content.toString()]]
      }),
    ),
    inUse: { storageDriver: values.get('driver'), dataRoot: values.get('root') },
    keepsContainers: values.get('live') === 'true' && values.get('swarm') === 'inactive',
    running: Number(values.get('running') ?? 0) || 0,
    ...(pending !== undefined && { pending: pending === 'live' ? 'live' : 'restart' }),
  }
}
