import { randomUUID } from 'node:crypto'
import { registryOf } from '../../engine/docker/image-reference.ts'
import { configWithLogins } from '../../engine/docker/registry-logins.ts'
import { UserError } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import { run } from '../../transport/run.ts'
import type { Context } from '../context.ts'
import { openHostFolder } from '../host-folder.ts'
import type { Host } from '../host-tree.ts'
import { runOnHost } from '../run-on-host.ts'
import type { Streams } from '../streams.ts'

/** The docker command of a host. */
export interface HostDocker extends Host {
  /** The words that run docker, without its arguments. */
  readonly docker: readonly string[]
}

const probe = `
command -v docker >/dev/null || { echo none; exit; }
if [ -w "$1" ] || [ ! -e "$1" ]; then echo direct
elif sudo -n true 2>/dev/null; then echo sudo
else echo denied; fi
`

/** Finds docker on a machine. Throws kind `unsupported` when it has none, `credentials` when it may not be used. */
export async function findHostDocker(context: Context, machine: Machine): Promise<HostDocker> {
  const transport = await context.connect(machine)
  const socket = machine.host?.socket ?? '/var/run/docker.sock'
  const { stdout } = await run(transport, ['sh', '-c', probe, 'fleet', socket])
  const { name } = machine
  const access = stdout.trim()
  if (access === 'none') {
    throw new UserError('unsupported', `there is no docker command, neither here nor on ${name}`, {
      machine: name,
      hint: `install a docker CLI on this computer or on ${name}`,
    })
  }
  if (access === 'denied') {
    throw new UserError(
      'credentials',
      `the user that fleet logs in as may not use ${socket} on ${name}`,
      {
        machine: name,
        hint: 'on the host: sudo usermod -aG docker USER',
      },
    )
  }
  const become = access === 'sudo' ? ['sudo', '-n'] : []
  return {
    name,
    transport,
    become,
    docker: [...become, 'env', `DOCKER_HOST=unix://${socket}`, 'docker'],
  }
}

/** Signals the process that was started with a mark in its environment; it may be about to start. */
const signalMarked = `
find_first() {
  first=
  for file in /proc/[0-9]*/environ; do
    grep -qaz "^FLEET_COMMAND=$1$" "$file" 2>/dev/null || continue
    pid=\${file#/proc/} pid=\${pid%/environ}
    [ -n "$first" ] && [ "$first" -lt "$pid" ] || first=$pid
  done
}
for attempt in 1 2 3 4 5; do
  find_first "$2"
  [ -n "$first" ] && kill -s "$1" "$first" && break
  sleep 0.2
done
`

/**
 * Signals docker by a command of its own: many SSH servers take no signals for root (OpenSSH
 * before 9.8), and docker passes what it gets on to the container.
 */
function signalDocker({ transport, become = [] }: Host, mark: string, name: string): void {
  run(transport, [...become, 'sh', '-c', signalMarked, 'fleet', name, mark]).catch(() => {}) // told by the command's own end
}

/** One run of docker on a host. */
export interface HostRun {
  /** docker's arguments; `folder` is where `files` are. */
  readonly args: (folder: string) => readonly string[]
  /** Private files for docker to read, by name. */
  readonly files?: Readonly<Record<string, string>>
  /** Images that a registry may be asked for. */
  readonly images?: readonly string[]
  /** Variables for docker itself. Not for secrets: a process list shows them. */
  readonly variables?: Readonly<Record<string, string>>
  /** The working directory on the host; home if absent. */
  readonly folder?: string
}

/**
 * Runs docker on a host with this person's logins to the registries of the images named. They
 * lie in a private folder on the host, in memory where it has such a place, until docker ends
 * or the link is lost.
 */
export async function runHostDocker(
  host: HostDocker,
  { args, files = {}, images = [], variables = {}, folder }: HostRun,
  streams: Streams,
): Promise<number> {
  const { transport, docker } = host
  const config = await configWithLogins(new Set(images.map(registryOf)), streams.env)
  const staged = { ...files, ...(config === undefined ? {} : { 'config.json': config }) }
  const mark = randomUUID()
  const kill = (_running: unknown, name: string): void => signalDocker(host, mark, name)
  const start = folder === undefined ? [] : ['sh', '-c', 'cd -- "$0" && exec "$@"', folder]
  const command = (path: string, more: readonly string[]): string[] => {
    const assigned = Object.entries(variables).map((pair) => pair.join('='))
    const settings = [`FLEET_COMMAND=${mark}`, ...assigned, ...more]
    return [...start, ...docker.slice(0, -1), ...settings, 'docker', ...args(path)]
  }
  if (Object.keys(staged).length === 0) return runOnHost(transport, command('', []), streams, kill)
  await using here = await openHostFolder(host, 'memory', staged)
  const login = config === undefined ? [] : [`DOCKER_CONFIG=${here.path}`]
  return await runOnHost(transport, command(here.path, login), streams, kill)
}

/** Those of the variables `names` that this computer's environment has. */
export function pickVariables(
  names: readonly string[],
  env: Streams['env'],
): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const name of names) {
    const value = env[name]
    if (value !== undefined) picked[name] = value
  }
  return picked
}

/** Why a command line cannot be done without a docker CLI on this computer. */
export const needsDockerHere = (machine: string, what: string): UserError =>
  new UserError('unsupported', `${what} needs a docker CLI on this computer`, {
    machine,
    hint: 'install docker-ce-cli (no engine is needed), then try again',
  })
