import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { delimiter, dirname, isAbsolute, join } from 'node:path'
import type { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { UserError } from '../../../errors.ts'
import type { Machine } from '../../../machine/machine.ts'
import type { Environment } from '../../../os/environment.ts'
import { findProgram } from '../../../os/find-program.ts'
import { signalGroup } from '../../../os/signal-group.ts'
import { trace } from '../../../os/trace.ts'
import { type CommandResult, readBeginning } from '../../../transport/run.ts'
import { askConfig, createWorkDirectory } from '../../compose/local-session.ts'
import type { Context } from '../../context.ts'
import { resolveStack } from '../resolve-stack.ts'
import type { MachineCompose } from '../run-release.ts'
import type { StackModel } from '../stack-model.ts'
import type { StackCompose } from './stack-compose.ts'

/** Variables that docker and its credential helpers need. They contain no secrets, so Compose files may use them. */
const programVariables =
  /^(?:PATH|HOME|USER|LOGNAME|TMPDIR|LANG|LC_[A-Z]+|XDG_[A-Z_]+|DOCKER_CONFIG|GNUPGHOME|GPG_TTY|DBUS_SESSION_BUS_ADDRESS|APPDATA|LOCALAPPDATA|USERPROFILE|SYSTEMROOT|TEMP|TMP)$/i

/** The variables that keep Compose files from including files from git or a registry. */
export const withoutRemotes = {
  COMPOSE_EXPERIMENTAL_GIT_REMOTE: '0',
  COMPOSE_EXPERIMENTAL_OCI_REMOTE: '0',
}

/** Returns the environment of docker: the variables that it needs to run, and the variables of the stack. */
function environmentOf(env: Environment, variables: Environment, socket: string): Environment {
  const own = Object.entries(env).filter(([name]) => programVariables.test(name))
  return {
    ...variables,
    ...Object.fromEntries(own),
    ...withoutRemotes,
    DOCKER_HOST: `unix://${socket}`,
  }
}

/** The socket path for runs that need no engine. */
const noSocket = '/nonexistent/docker.sock'

/** The maximum output of a run, in bytes. Models may contain the variables from many files. */
const maxOutput = 64 * 2 ** 20

const readAll = (stream: Readable): Promise<string> => readBeginning(stream, { limit: maxOutput })

/**
 * Runs a local program without input, and collects its output. When `signal` aborts, the program and its child
 * processes are stopped, and the promise rejects with the abort reason after the program has exited.
 */
async function runToEnd(
  program: string,
  args: readonly string[],
  { cwd, env, signal }: { cwd?: string; env: Environment; signal: AbortSignal },
): Promise<CommandResult> {
  signal.throwIfAborted()
  trace('docker', `run ${program} with ${args.length} arguments`)
  const child = spawn(program, args, {
    ...(cwd !== undefined && { cwd }),
    env: { ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: process.platform !== 'win32', // creates a process group that can be signaled
  })
  const end = (): void => {
    if (child.pid !== undefined) signalGroup(child.pid, 'SIGTERM')
  }
  signal.addEventListener('abort', end)
  const exit = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
  try {
    const [code, stdout, stderr] = await Promise.all([
      exit,
      readAll(child.stdout),
      readAll(child.stderr),
    ])
    signal.throwIfAborted()
    return { code, stdout, stderr }
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/**
 * Returns the docker arguments that run Compose with a model as its only file. `file` is the path of the model; `empty`
 * is the path of an empty file.
 */
export const modelWords = (
  { name }: StackModel,
  { file, empty, folder }: { file: string; empty: string; folder: string },
): string[] => [
  'compose',
  `--project-name=${name}`,
  `--project-directory=${folder}`,
  `--file=${file}`,
  `--env-file=${empty}`, // otherwise Compose reads .env in the project directory
]

/** Runs Compose on this computer with a model. `folder` is the stack's directory on the host, if it is known. */
async function runModel(
  run: RunCompose,
  model: StackModel,
  words: readonly string[],
  { folder, ...options }: { folder?: string; env: Environment; signal: AbortSignal },
): Promise<CommandResult> {
  await using workDirectory = await createWorkDirectory()
  const [file, empty] = [
    join(workDirectory.folder, 'compose.json'),
    join(workDirectory.folder, 'empty'),
  ]
  await writeFile(file, JSON.stringify(model), { mode: 0o600 })
  await writeFile(empty, '')
  const start = modelWords(model, { file, empty, folder: folder ?? workDirectory.folder })
  return await run([...start, ...words], { ...options, cwd: workDirectory.folder })
}

/**
 * Rejects if the connection to the host was lost while Compose was using its engine, because Compose may report a
 * different error.
 */
async function unlessLost(
  lost: Promise<never>,
  run: () => Promise<CommandResult>,
): Promise<CommandResult> {
  let loss: unknown
  lost.catch((error: unknown) => (loss = error))
  const result = await run()
  await setImmediate() // process the broker's messages first
  if (loss !== undefined && result.code !== 0) throw loss
  return result
}

/** Docker Compose on this computer, connected to the engine of a machine. */
function machineCompose(
  context: Context,
  machine: Machine,
  { docker, version, folder }: { docker: string; version: string; folder: string },
): MachineCompose {
  const run: RunCompose = (args, options) => runToEnd(docker, args, options)
  return {
    version,
    async run(model, words, { variables, signal }) {
      const { path, lost } = await context.engineSocket(machine)
      const env = environmentOf(context.env, variables, path)
      return unlessLost(lost, () => runModel(run, model, words, { folder, env, signal }))
    },
  }
}

/**
 * The directories in which docker, as packaged by Linux distributions, looks for plugins after the user's own
 * directory.
 */
const systemFolders = ['/usr/local/lib', '/usr/local/libexec', '/usr/lib', '/usr/libexec'].map(
  (folder) => `${folder}/docker`,
)

/**
 * Finds the Compose plugin that docker would start. Running the plugin directly takes less than half of the CPU time.
 */
async function findPlugin(docker: string, env: Environment): Promise<string | undefined> {
  const config = env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? '', '.docker')
  if (!isAbsolute(config)) return undefined
  const isOfSystem = ['/usr/bin', '/usr/local/bin'].includes(dirname(docker))
  const folders = [config, ...(isOfSystem ? systemFolders : [])]
  const PATH = folders.map((folder) => join(folder, 'cli-plugins')).join(delimiter)
  return findProgram('docker-compose', { PATH })
}

/** Runs a Compose command. The first argument is `compose`. */
type RunCompose = (
  args: readonly string[],
  options: Parameters<typeof runToEnd>[2],
) => Promise<CommandResult>

/** Finds the Docker CLI with its Compose plugin on this computer; undefined if either is missing. */
export async function findLocalCompose(context: Context): Promise<StackCompose | undefined> {
  const { env, signal } = context
  const docker = await findProgram('docker', env)
  if (docker === undefined || process.platform === 'win32') return undefined // no Unix sockets for engines on Windows
  const plain = environmentOf(env, {}, noSocket)
  const plugin = await findPlugin(docker, env)
  /** Runs commands that need no engine and no credentials. */
  const query: RunCompose = (args, options) =>
    plugin === undefined
      ? runToEnd(docker, args, options)
      : runToEnd(plugin, args.slice(1), options)
  const readVersion = async (): Promise<string> => {
    const result = await query(['compose', 'version', '--short'], { env: plain, signal })
    if (result.code === 0) return result.stdout.trim()
    const why = result.stderr.trim() || `exit code ${result.code}`
    const program = plugin ?? `${docker} compose`
    throw new UserError('unsupported', `${program} on this computer does not work: ${why}`, {
      hint: 'reinstall the docker-compose-plugin package, or remove it to use Compose on the hosts',
    })
  }
  const version = readVersion() // runs while stacks are resolved
  version.catch(() => {}) // awaited when it is needed
  // Only docker itself knows whether it has a plugin in another directory.
  if (plugin === undefined && (await version.catch(() => '')) === '') return undefined
  return {
    async resolve(files, variables) {
      await using workDirectory = await createWorkDirectory()
      const { folder, command, project } = files
      const all = { ...files.variables, ...variables }
      const ask = askConfig({
        ...{ command, project, workDirectory, stdin: undefined },
        streams: { cwd: folder, env: all },
        docker: {
          ask: (args, place) =>
            query(args, {
              cwd: place.cwd,
              env: { ...environmentOf(env, place.env, noSocket), PWD: place.cwd },
              signal,
            }),
        },
      })
      const resolving = resolveStack(
        { ...files, variables: all },
        { root: workDirectory.root, ask },
      )
      await Promise.allSettled([resolving, version])
      await version // a broken plugin is a better explanation than its output
      return await resolving
    },
    hasherOf: async () => ({
      version: await version,
      ask: (model, words) => runModel(query, model, words, { env: plain, signal }),
    }),
    on: async (machine, { folder }) =>
      machineCompose(context, machine, { docker, version: await version, folder }),
  }
}
