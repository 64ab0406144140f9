import { defaultSocket } from '../../machine/machine.ts'
import type { HostProbe } from './probe.ts'
import type { Step } from './distributions.ts'

/** The log file of dockerd if no init system collects its output. */
const logFile = '/var/log/dockerd.log'

/** Returns the steps that start the engine and, if there is an init system, enable it at boot. */
export function startService(probe: HostProbe): Step[] {
  const running = probe.engine?.version !== undefined || isAssumedRunning(probe)
  const enabled = running ? (probe.service?.enabled ?? true) : probe.service?.enabled === true
  if (running && enabled) return []
  if (probe.init === 'none') return running ? [] : [startDaemon]
  if (probe.init === 'systemd') return [systemdStep(running, enabled)]
  return [...(enabled ? [] : [enableOpenRc]), ...(running ? [] : [startOpenRc])]
}

/**
 * Whether an engine that did not respond is assumed to be running: it may hang, or there was no program that could
 * query it.
 */
function isAssumedRunning({ service, engine, cli, sudo }: HostProbe): boolean {
  if (service !== undefined) return service.active
  if (engine === undefined) return false
  const asked = cli && (engine.direct || sudo)
  return !asked
}

/** Returns the step that enables docker.service, starts it, or both. `enable` alone does not start a stopped unit. */
function systemdStep(running: boolean, enabled: boolean): Step {
  const what = [...(enabled ? [] : ['enable']), ...(running ? [] : ['start'])].join(' and ')
  const verb = enabled ? 'start' : running ? 'enable' : 'enable --now'
  return {
    description: `${what} docker.service`,
    command: ['sh', '-c', `${systemctl(verb)} || exit 1`],
  }
}

/** Returns a shell command that runs `systemctl` for docker.service, and prints the engine's log if that fails. */
const systemctl = (verb: string): string =>
  `{ systemctl ${verb} docker.service || { journalctl --no-pager -n 20 -u docker.service >&2; false; }; }`

/** A shell script that starts the engine and enables it at boot. It has no effect on a running, enabled engine. */
export const runServiceScript = `if [ -d /run/systemd/system ]; then ${systemctl('enable --now')}
elif [ -e /run/openrc/softlevel ]; then rc-update add docker default && rc-service docker start
fi
`

const enableOpenRc: Step = {
  description: 'start docker at boot (OpenRC, default runlevel)',
  command: ['rc-update', 'add', 'docker', 'default'],
}

const startOpenRc: Step = {
  description: 'start docker (OpenRC)',
  command: ['rc-service', 'docker', 'start'],
}

/** Starts dockerd without an init system, unless a package's installation script has started it already. */
const startDaemon: Step = {
  description: `start dockerd, logging to ${logFile}; no init system is running, so dockerd will not start again after a reboot`,
  command: [
    'sh',
    '-c',
    `export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
answers() { docker -H unix://${defaultSocket} version >/dev/null 2>&1; }
answers && exit 0
setsid dockerd >>${logFile} 2>&1 </dev/null &
daemon=$! tries=0
until answers; do
  tries=$((tries + 1))
  if [ $tries -gt 120 ] || ! kill -0 $daemon 2>/dev/null; then tail -n 20 ${logFile} >&2; exit 1; fi
  sleep 0.5
done`,
  ],
}
