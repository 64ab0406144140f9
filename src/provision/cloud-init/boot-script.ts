import type { EngineSpec } from '../../machine/engine-spec.ts'
import { type Task, distributions, engineTasks, installTask } from '../host/distributions.ts'
import { formatDaemonConfig, mergeDaemonConfig } from '../engine/settings/daemon-config.ts'
import type { EngineSettings } from '../engine/settings/engine-settings.ts'
import { certificateFile } from '../engine/settings/engine-state.ts'
import { environmentFile, formatEnvironment } from '../engine/settings/environment-file.ts'
import { defaultSocket } from '../../machine/machine.ts'
import { runServiceScript } from '../host/service.ts'
import { permanentFailure, shellFunctions } from '../host/shell-functions.ts'

/**
 * File name of the script. cloud-init runs scripts in the order of their names, so this one runs
 * first.
 */
export const bootScriptName = '00-fleet-engine'

/** The file with the script's output. */
export const bootScriptLog = '/var/log/fleet-engine.log'

/** Returns the shell commands of a task. If the task fails, the function that contains the commands returns. */
const taskLines = ({ description, script, args }: Task): string => `task() {
${script}
}
say ${quote(description)} && task ${args.join(' ')} || return
`

const quote = (words: string): string => `'${words.replaceAll("'", `'\\''`)}'`

/** Returns the branches of the script's `case` statement, one for each family of distributions. */
function branches(spec: EngineSpec): string {
  return distributions
    .map((distribution) => {
      const { ids, appArmor, prepare, install } = distribution
      const engine = engineTasks(distribution, spec)
      const body =
        engine === undefined
          ? `say "Docker has no package repository for $PRETTY_NAME"; return ${permanentFailure}\n`
          : [...(prepare ? [prepare] : []), ...engine].map(taskLines).join('')
      const confined =
        engine !== undefined && appArmor !== undefined
          ? `if apparmor_missing; then\n${taskLines(installTask(install, [appArmor]))}fi\n`
          : ''
      return `${ids.join(' | ')})\n${body}${confined}return ;;\n`
    })
    .join('')
}

/** Returns the lines that write all engine settings, even destructive ones, since a new host has no containers yet. */
function settingsLines(settings: EngineSettings | undefined): string {
  if (settings === undefined) return ''
  const { environment, certificates } = settings
  const config = mergeDaemonConfig({}, settings)
  const files: readonly (readonly [string, string])[] = [
    ...(Object.keys(config).length === 0
      ? []
      : [['/etc/docker/daemon.json', asAscii(formatDaemonConfig(config, ''))] as const]),
    ...(Object.keys(environment).length === 0
      ? []
      : [[environmentFile, formatEnvironment(environment)] as const]),
    ...Object.entries(certificates).map(
      ([registry, pem]) => [certificateFile(registry), pem] as const,
    ),
  ]
  return files
    .map(([file, text]) => `put ${quote(file)} <<'FLEET-END' || return\n${text}FLEET-END\n`)
    .join('')
}

/** Escapes non-ASCII characters in JSON, because a MIME part would have to declare their encoding. */
const asAscii = (json: string): string =>
  json.replaceAll(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/**
 * Returns a POSIX script for the first boot of any distribution. The script writes the engine's settings except for
 * files that the image already contains, installs the engine unless it is already installed, starts it, and adds `user`
 * to the docker group. It retries after mirror errors, but not after errors that a retry cannot fix. Its exit code is 0
 * if the engine responds.
 */
export const writeBootScript = (
  spec: EngineSpec,
  user: string,
  settings?: EngineSettings,
): string => `#!/bin/sh
# Written by fleet: sets up this host's Docker engine.
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
${shellFunctions}
say() { echo "fleet: $*"; }
apparmor_missing() { [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && ! has apparmor_parser; }
install_engine() {
  . /etc/os-release
  for id in "$ID" $ID_LIKE; do
    case $id in
${branches(spec)}
    esac
  done
  say "fleet cannot install Docker on $PRETTY_NAME"
  return ${permanentFailure}
}
put() { # FILE: writes standard input to a file, unless the image has this file
  if [ -e "$1" ]; then cat >/dev/null; say "$1 exists and was kept"; return; fi
  mkdir -p "$(dirname "$1")" && cat >"$1.fleet-new" && chmod 0644 "$1.fleet-new" && mv "$1.fleet-new" "$1" && changed=yes
}
configure() {
${settingsLines(settings)}:
}
set_up() {
  changed= installed=
  configure || return 1
  has dockerd && installed=yes
  if ! has dockerd; then
    for pause in 5 10 20 40 last; do
      (install_engine)
      case $? in 0) break ;; ${permanentFailure}) return 1 ;; esac
      [ $pause = last ] && return 1
      say "trying again in $pause s"
      sleep $pause
    done
  fi
  say 'start docker' && start_engine || return 1
  if [ "$installed$changed" = yesyes ]; then restart_engine || return 1; fi
  case " $(id -nG ${user}) " in
    *' docker '*) ;;
    *) say 'add ${user} to the docker group' && { usermod -aG docker ${user} || addgroup ${user} docker; } || return 1 ;;
  esac
  tries=0
  until docker -H unix://${defaultSocket} version; do
    tries=$((tries + 1))
    [ $tries -le 60 ] || return 1
    sleep 1
  done
}
start_engine() {
${runServiceScript}}
restart_engine() {
  if [ -d /run/systemd/system ]; then systemctl daemon-reload && systemctl restart docker.service
  elif [ -e /run/openrc/softlevel ]; then rc-service docker restart; fi
}
code=$(mktemp)
{ set_up; echo $? >"$code"; } 2>&1 | tee ${bootScriptLog}
read -r ended <"$code"
rm -f "$code"
exit "$ended"
`
