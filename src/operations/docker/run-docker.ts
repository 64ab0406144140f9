import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { openSync, closeSync } from 'node:fs'
import { constants } from 'node:os'
import { PassThrough, type Readable, type Stream, Readable as Source } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { findProgram } from '../../os/find-program.ts'
import type { ReadCommand } from '../../docker/verbs.ts'
import type { Machine } from '../../machine/machine.ts'
import type { CommandResult } from '../../transport/run.ts'
import type { Context } from '../context.ts'
import { execInContainer } from './exec-in-container.ts'
import { type TakeLine, takeLines } from '../fan-out/run-lines.ts'
import { type Streams, signalBehind } from '../../os/streams.ts'
import { trace } from '../../os/trace.ts'

type Env = Streams['env']

/** Variables that would override or conflict with DOCKER_HOST. */
const conflictingVariables = /^DOCKER_(?:CONTEXT|TLS|TLS_VERIFY|CERT_PATH|API_VERSION)$/

/** The environment for docker with the engine behind `socket`. */
function environmentFor(socket: string, env: Env): Record<string, string | undefined> {
  const kept = Object.entries(env).filter(([name]) => !conflictingVariables.test(name))
  return { ...Object.fromEntries(kept), DOCKER_HOST: `unix://${socket}` }
}

/** The file descriptor of a standard stream of this process, which docker can inherit; undefined for other streams. */
function standardDescriptor(stream: Stream): number | undefined {
  const descriptor: unknown = 'fd' in stream ? stream.fd : undefined
  return typeof descriptor === 'number' && descriptor <= 2 ? descriptor : undefined
}

/** Whether there is a terminal, where Ctrl-C reaches all programs in the foreground. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

/** Connects the streams that docker cannot inherit. */
function joinStreams(child: ChildProcess, { stdin, stdout, stderr }: Streams): () => void {
  child.stdout?.pipe(stdout, { end: false })
  child.stderr?.pipe(stderr, { end: false })
  const input = child.stdin
  if (input === null) return () => {}
  input.on('error', () => {}) // docker may exit without reading its input
  stdin.pipe(input)
  return () => {
    stdin.unpipe(input)
    stdin.pause()
  }
}

/** Runs a local program; resolves to its exit code, as a shell reports it. */
async function runLocally(
  program: string,
  args: readonly string[],
  streams: Streams,
  env: Env,
): Promise<number> {
  const { stdin, stdout, stderr, signal, cwd } = streams
  const stdio = [stdin, stdout, stderr].map((stream) => standardDescriptor(stream) ?? 'pipe')
  trace('docker', `run ${program} with ${args.length} arguments`)
  const child = spawn(program, args, { cwd, env: { ...env }, stdio })
  const leaveStreams = joinStreams(child, streams)
  const forward = (): void => {
    const name = signalBehind(signal)
    if (name !== 'SIGINT' || !hasTerminal()) child.kill(name)
  }
  signal.addEventListener('abort', forward)
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, killedBy) =>
        resolve(code ?? 128 + (killedBy === null ? 0 : constants.signals[killedBy])),
      )
      if (signal.aborted) forward()
    })
  } finally {
    signal.removeEventListener('abort', forward)
    leaveStreams()
  }
}

/**
 * Rejects if the connection to the host was lost while a program was using its engine, since the program may report
 * success.
 */
async function unlessLost(
  lost: Promise<never>,
  signal: AbortSignal,
  run: () => Promise<number>,
): Promise<number> {
  let loss: unknown
  lost.catch((error: unknown) => (loss = error))
  const code = await run()
  await setImmediate() // process the broker's messages first
  if (loss !== undefined && !signal.aborted) throw loss
  return code
}

/** Runs a local program without input; resolves to its output. */
const queryLocally = (
  program: string,
  args: readonly string[],
  { cwd, env, signal }: Pick<Streams, 'cwd' | 'env' | 'signal'>,
): Promise<CommandResult> =>
  new Promise((resolve, reject) => {
    const options = { cwd, env: { ...env }, maxBuffer: largestAnswer }
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      signal.removeEventListener('abort', forward)
      if (signal.aborted) reject(signal.reason as Error)
      else resolve({ code: error === null ? 0 : Number(error.code) || 1, stdout, stderr })
    })
    const forward = (): void => void child.kill()
    signal.addEventListener('abort', forward)
    child.stdin?.end()
  })

/** The maximum output of a program, in bytes. */
const largestAnswer = 64 * 2 ** 20

/** Parses the arguments; undefined unless they are a compose command. */
async function readComposeCommand(args: readonly string[]): Promise<ReadCommand | undefined> {
  const { readCommand } = await import('../../docker/verbs.ts')
  const command = readCommand(args)
  return command?.verb === 'compose' ? command : undefined
}

/** Runs `docker compose` with the local docker; undefined if it has no Compose plugin. */
async function runComposeHere(
  context: Context,
  machine: Machine,
  docker: string,
  command: ReadCommand,
  streams: Streams,
): Promise<number | undefined> {
  const { code } = await queryLocally(docker, ['compose', 'version'], streams)
  if (code !== 0) return undefined
  const { composeLocally } = await import('../compose/compose-here.ts')
  const { path: socket, lost } = await context.engineSocket(machine)
  return composeLocally(
    context,
    machine,
    command,
    {
      run: (words, given) =>
        unlessLost(lost, given.signal, () =>
          runLocally(docker, words, given, environmentFor(socket, given.env)),
        ),
      ask: (words, { cwd, env }) =>
        queryLocally(docker, words, { ...streams, cwd, env: environmentFor(socket, env) }),
    },
    streams,
  )
}

/**
 * Runs `docker ARGS` against a machine's engine, and resolves to docker's exit code (128 plus the number of the signal that
 * killed it). Uses the docker in the local PATH, so that local files, logins and plugins work; without one, docker runs on the
 * host. Rejects with a `UserError` only when docker could not be run.
 */
export async function runDocker(
  context: Context,
  machine: Machine,
  args: readonly string[],
  streams: Streams,
): Promise<number> {
  const code = await execInContainer(context, machine, args, streams)
  if (code !== undefined) return code
  context.hosted?.fallBack()
  const docker = await findProgram('docker', streams.env)
  const compose = args.includes('compose') ? await readComposeCommand(args) : undefined
  if (docker !== undefined && compose !== undefined) {
    const code = await runComposeHere(context, machine, docker, compose, streams)
    if (code !== undefined) return code
  }
  if (docker === undefined || compose !== undefined) {
    const { runDockerOnHost } = await import('./run-docker-on-host.ts')
    return runDockerOnHost(context, machine, args, streams)
  }
  const { path, lost } = await context.engineSocket(machine)
  const env = environmentFor(path, streams.env)
  return unlessLost(lost, streams.signal, () => runLocally(docker, args, streams, env))
}

/**
 * Like {@link runDocker}, but without input or a terminal, and with output line by line, for many machines at the same
 * time.
 */
export async function runDockerLines(
  context: Context,
  machine: Machine,
  args: readonly string[],
  environment: Pick<Streams, 'env' | 'cwd' | 'signal'>,
  onLine: TakeLine,
): Promise<number> {
  const stdin: Readable = Source.from([])
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const taken = Promise.all([
    takeLines('stdout', stdout, onLine),
    takeLines('stderr', stderr, onLine),
  ])
  const { env, cwd, signal } = environment
  try {
    return await runDocker(context, machine, args, { stdin, stdout, stderr, env, cwd, signal })
  } finally {
    stdout.end()
    stderr.end()
    await taken
  }
}
