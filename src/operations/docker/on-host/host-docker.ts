import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { registryOf } from '../../../docker/image-reference.ts'
import { configWithLogins } from '../../../docker/registry-logins.ts'
import { UserError, fileProblemOf } from '../../../errors.ts'
import { type Machine, socketOf } from '../../../machine/machine.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
import { type CommandResult, run } from '../../../transport/run.ts'
import type { RunningCommand } from '../../../transport/transport.ts'
import type { Context } from '../../context.ts'
import { type HostFolder, openHostFolder } from '../../copy/remote-temp-dir.ts'
import type { Host } from '../../copy/remote-tar.ts'
import { runOnHost } from '../../fan-out/run-on-host.ts'
import type { Streams } from '../../../os/streams.ts'
import { findSudo } from '../../../os/find-sudo.ts'
import { ignored } from '../../../os/trace.ts'

/** A host whose files and engine a command uses, with sudo if needed. */
export interface EngineHost extends Host {
  /** The home directory of the login user. */
  readonly home: string
}

/** The docker command of a host. */
export interface HostDocker extends EngineHost {
  /** The command that runs docker, without its arguments. */
  readonly docker: readonly string[]
}

/** Prints whether docker is installed, how its engine can be accessed, and the home directory. */
const probe = `
${findSudo}
if [ -w "$1" ] || [ ! -e "$1" ]; then access=direct
elif [ -n "$sudo" ]; then access=sudo
else access=denied; fi
command -v docker >/dev/null && echo "$access" || echo none
printf '%s\\n%s' "$access" "$HOME"
`

async function probeHost(context: Context, machine: Machine) {
  const transport = await context.connect(machine)
  const { stdout } = await run(transport, ['sh', '-c', probe, 'fleet', socketOf(machine)])
  const [docker = '', access = docker, ...home] = stdout.split('\n')
  const become = access === 'sudo' ? ['sudo', '-n'] : []
  const [folder = '', ...rest] = home
  if (rest.length > 0 || /\p{Cc}/u.test(folder)) {
    throw new UserError(
      'unsupported',
      'the home directory on the host has control characters in its name',
      {
        machine: machine.name,
      },
    )
  }
  const host: EngineHost = { name: machine.name, transport, become, home: folder }
  return { host, docker }
}

/** The host of a machine, with `become` if its engine needs sudo. Works without a docker command on the host. */
export const findEngineHost = async (context: Context, machine: Machine): Promise<EngineHost> =>
  (await probeHost(context, machine)).host

/**
 * Finds docker on a machine. Throws kind `unsupported` when docker is not installed, and `credentials` when the user
 * has no permission.
 */
export async function findHostDocker(context: Context, machine: Machine): Promise<HostDocker> {
  const { name } = machine
  const socket = socketOf(machine)
  const { host, docker } = await probeHost(context, machine)
  if (docker === 'none') {
    throw new UserError(
      'unsupported',
      `the docker command was not found on this computer or on ${name}`,
      {
        machine: name,
        hint: `install the Docker CLI on this computer or on ${name}`,
      },
    )
  }
  if (docker === 'denied') {
    throw new UserError(
      'credentials',
      `the login user does not have permission to use ${socket} on ${name}`,
      {
        machine: name,
        hint: 'run on the host: sudo usermod -aG docker USER; then close the open connection: fleet broker stop',
      },
    )
  }
  return {
    ...host,
    docker: [...(host.become ?? []), 'env', `DOCKER_HOST=unix://${socket}`, 'docker'],
  }
}

/**
 * Finds docker by the mark in its environment, and signals it. Retries, because docker may not have started yet. A
 * plugin (compose, buildx) is signaled directly, as from a terminal, because docker does not forward signals to it.
 */
const signalMarked = `
marked() { grep -qaz "^FLEET_COMMAND=$mark$" "/proc/$1/environ" 2>/dev/null; }
parent() { sed -n 's/^PPid:[^0-9]*//p' "/proc/$1/status" 2>/dev/null; }
mark=$2
for attempt in 1 2 3 4 5 6 7 8; do
  docker= plugins=
  for file in /proc/[0-9]*; do
    pid=\${file#/proc/}
    marked "$pid" || continue
    if ! marked "$(parent "$pid")"; then docker=$pid
    elif tr '\\0' ' ' <"/proc/$pid/cmdline" | grep -q '/cli-plugins/docker-'; then plugins="$plugins $pid"
    fi
  done
  first=
  for pid in $plugins; do [ "$(parent "$pid")" = "$docker" ] && first=$pid; done
  kill -s "$1" \${first:-$docker} 2>/dev/null && break
  sleep 0.2
done
`

/** How long sending a signal may take, in milliseconds. */
const signalling = 10_000

/**
 * Signals docker with a separate command, because many SSH servers do not accept signals for root (OpenSSH before 9.8).
 * docker forwards the signal to the container. If the command cannot run because no session is free, closes docker's
 * connection.
 */
function signalDocker(
  { transport, become = [] }: Host,
  mark: string,
  running: RunningCommand,
  name: string,
): void {
  // a separate time limit, because the command's own abort signal has already fired
  const signal = AbortSignal.timeout(signalling)
  const words = [...become, 'sh', '-c', signalMarked, 'fleet', name, mark]
  run(transport, words, { signal }).catch(() => {
    running.kill(name)
    running.stdout.destroy(new UserError('cancelled', 'cancelled', { cause: `SIG${name}` }))
  })
}

/** A file that docker writes on the host, and that the user expects on this computer. */
export interface Output {
  /** Receives the content after docker has exited. */
  readonly take: (content: string) => Promise<void>
  /** Whether to read it as soon as it has content, while docker is running. */
  readonly early?: boolean
}

/** An output that is written to a local file. */
export const fileOutput = (file: string): Output => ({
  async take(content) {
    try {
      await writeFile(file, content)
    } catch (error) {
      throw new UserError('failed', `cannot write ${file}: ${fileProblemOf(error)}`, {
        cause: error,
      })
    }
  },
})

/** One run of docker on a host. */
export interface HostRun {
  /** The arguments of docker; `folder` is the directory that contains `files`. */
  readonly args: (folder: string) => readonly string[]
  /** Private files for docker to read, keyed by path. */
  readonly files?: Readonly<Record<string, string | Buffer>>
  /** Images whose registry logins are needed. */
  readonly images?: readonly string[]
  /** Environment variables of docker. Not for secrets, because process lists show these variables. */
  readonly variables?: Readonly<Record<string, string>>
  /** Environment variables of docker that must not appear in process lists. */
  readonly environment?: Readonly<Record<string, string>>
  /** Files that docker writes to the directory of `files`, keyed by name. */
  readonly outputs?: Readonly<Record<string, Output>>
  /** Another temporary directory on the host that docker reads; it is kept until docker exits. */
  readonly within?: HostFolder
  /** The working directory on the host, which may be in the directory of `files`; if absent, the home directory. */
  readonly workingFolder?: (folder: string) => string
}

/** Runs docker with the variables in a file, after setting those that docker needs from the host. */
const launch = `
folder=$1 working=$2
shift 2
if [ -n "$working" ]; then mkdir -p -- "$working" && cd -- "$working" || exit 125; fi
docker=$(command -v docker) || exit 127
config=\${DOCKER_CONFIG-$HOME/.docker}
DOCKER_CONFIG=$config XDG_CACHE_HOME=\${XDG_CACHE_HOME-$HOME/.cache}
[ ! -f "$folder/config.json" ] || DOCKER_CONFIG=$folder
[ "$DOCKER_CONFIG" = "$config" ] || [ ! -d "$config/cli-plugins" ] || ln -s "$config/cli-plugins" "$folder/"
export DOCKER_CONFIG XDG_CACHE_HOME
[ ! -f "$folder/environment" ] || . "$folder/environment"
exec "$docker" "$@"
`

/** Formats variables as lines for a shell. Names that are not valid in a shell are omitted. */
const shellAssignments = (variables: Readonly<Record<string, string>>): string =>
  Object.entries(variables)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => `export ${name}=${shellQuote(value)}\n`)
    .join('')

/** A command that runs docker, and its temporary directory on the host, which is removed with the command. */
interface PreparedRun {
  readonly words: readonly string[]
  /** The directory of `files` and `outputs`, if there are any. */
  readonly folder?: HostFolder
}

async function prepareRun(
  host: HostDocker,
  run: HostRun,
  { env, signal }: Pick<Streams, 'env' | 'signal'>,
  settings: readonly string[],
): Promise<PreparedRun> {
  const { args, files = {}, images = [], variables = {}, environment = {}, workingFolder } = run
  const { docker, become = [] } = host
  const config = await configWithLogins(new Set(images.map(registryOf)), env)
  const assignments = shellAssignments(environment)
  const staged = {
    ...files,
    ...(config === undefined ? {} : { 'config.json': config }),
    ...(assignments === '' ? {} : { environment: assignments }),
  }
  const assigned = [...settings, ...Object.entries(variables).map((pair) => pair.join('='))]
  const setting = [...docker.slice(become.length, -1), ...assigned]
  const needsFolder = workingFolder !== undefined || run.outputs !== undefined
  const isPlain = Object.keys(staged).length === 0 && !needsFolder
  const within = (inner: readonly string[]) => [...become, ...(run.within?.holdFor(inner) ?? inner)]
  if (isPlain) return { words: within([...setting, 'docker', ...args('')]) }
  const folder = await openHostFolder(host, { where: 'memory', files: staged, signal })
  const { path } = folder
  const start = ['sh', '-c', launch, 'fleet', path, workingFolder?.(path) ?? '']
  const keep = run.outputs !== undefined
  const words = folder.holdFor([...setting, ...start, ...args(path)], { keep })
  return { words: within(words), folder }
}

/**
 * Runs docker on a host with the user's registry logins for the images of the command. The logins are kept in a private
 * directory on the host, in memory if possible, until docker exits or the connection is lost.
 */
export async function runHostDocker(
  host: HostDocker,
  command: HostRun,
  streams: Streams,
): Promise<number> {
  const mark = randomUUID()
  const kill = (running: RunningCommand, name: string): void =>
    signalDocker(host, mark, running, name)
  const { words, folder } = await prepareRun(host, command, streams, [`FLEET_COMMAND=${mark}`])
  const { outputs = {} } = command
  if (folder === undefined || command.outputs === undefined) {
    return await runOnHost(host.transport, words, streams, { kill })
  }
  const taking = new AbortController()
  const takeRest: (() => Promise<void>)[] = []
  const takeOutputs = (): void => {
    for (const [name, output] of Object.entries(outputs)) {
      takeRest.push(takeOutput(host, `${folder.path}/${name}`, output, taking.signal))
    }
  }
  const code = await runOnHost(host.transport, words, streams, { kill, started: takeOutputs })
  taking.abort()
  for (const take of takeRest) await take()
  await folder[Symbol.asyncDispose]()
  return code
}

/** Prints a file as soon as it has content. */
const awaitContent = 'until [ -s "$1" ]; do sleep 0.1; done; cat -- "$1"'

/** Reads an output file of docker. The returned function reads it at the end, if it was not read before. */
function takeOutput(
  { transport, become = [] }: Host,
  file: string,
  { take, early = false }: Output,
  signal: AbortSignal,
): () => Promise<void> {
  const read = async (script: string, stop?: AbortSignal): Promise<string | undefined> => {
    const words = [...become, 'sh', '-c', script, 'fleet', file]
    const { code, stdout } = await run(transport, words, stop === undefined ? {} : { signal: stop })
    return code === 0 ? stdout : undefined
  }
  const takeEarly = async (): Promise<boolean> => {
    // While the docker command runs, the host may not allow another SSH session.
    const content = await read(awaitContent, signal).catch(
      ignored('docker', 'read an output file from docker'),
    )
    if (content !== undefined) await take(content)
    return content !== undefined
  }
  const earlyResult = early ? takeEarly() : Promise.resolve(false)
  earlyResult.catch(() => {}) // reported at the end
  return async () => {
    if (await earlyResult) return
    const content = await read('[ ! -f "$1" ] && exit 1; cat -- "$1"')
    if (content !== undefined) await take(content)
  }
}

/** Like {@link runHostDocker}, but without input; returns the output. */
export async function askHostDocker(
  host: HostDocker,
  command: HostRun,
  streams: Pick<Streams, 'env' | 'signal'>,
): Promise<CommandResult> {
  const { words } = await prepareRun(host, command, streams, [])
  return await run(host.transport, words, { signal: streams.signal })
}

/** Variables that keep the host's values when docker runs there. */
export const variablesOfHost: ReadonlySet<string> = new Set([
  'PATH',
  'PWD',
  'OLDPWD',
  'SHLVL',
  '_',
  'DOCKER_API_VERSION',
  'DOCKER_CERT_PATH',
  'DOCKER_CONFIG',
  'DOCKER_CONTEXT',
  'DOCKER_HOST',
  'DOCKER_TLS',
  'DOCKER_TLS_VERIFY',
  'LD_LIBRARY_PATH',
  'LD_PRELOAD',
  'SSH_AUTH_SOCK',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
  'TERM',
  'TMPDIR',
  'XDG_CACHE_HOME',
  'XDG_RUNTIME_DIR',
])

/** The variables in `names` that are set in the local environment. */
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

/** The error for a command that needs the docker CLI on this computer. `reason`: text to append to the message. */
export const needsLocalDocker = (machine: string, what: string, reason = ''): UserError =>
  new UserError('unsupported', `${what} requires the Docker CLI on this computer${reason}`, {
    machine,
    hint: 'install the Docker CLI (package docker-ce-cli; the engine is not required), then try again',
  })
