import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { resolve } from 'node:path'
import type { Duplex, Writable } from 'node:stream'
import type { Engine } from '../../engine/engine.ts'
import { type ExecRequest, createExec, readExitCode, startExec } from '../../engine/exec.ts'
import { configFolder } from '../../docker/registry-logins.ts'
import { operandsOf, valuesOf } from '../../docker/command-line.ts'
import { readCommand } from '../../docker/verbs.ts'
import { readFrames } from '../../engine/stream-frames.ts'
import { UserError, codeOf } from '../../errors.ts'
import type { Machine } from '../../machine/machine.ts'
import type { Context } from '../context.ts'
import { type Streams, signalBehind } from '../../os/streams.ts'

/** The flags of `docker exec` that fleet supports itself. */
const known: ReadonlySet<string> = new Set([
  ...['--interactive', '-i', '--env', '--user', '-u', '--workdir', '-w', '--privileged'],
])

/** Parses the arguments of a simple `docker exec`; undefined for anything else. */
function readExec(args: readonly string[]): ExecRequest | undefined {
  const command = readCommand(args)
  if (command?.verb !== 'exec' || command.start.join(' ') !== command.spelling) return undefined
  const { words } = command
  const has = (...names: string[]) =>
    words.some((word) => word.kind === 'flag' && names.includes(word.name))
  const [container, ...line] = operandsOf(words)
  const env = valuesOf(words, '--env')
  const isPlain = words.every((word) => {
    if (word.kind === 'operand') return true
    return word.kind === 'flag' && known.has(word.name) && word.value !== ''
  })
  const switches = words.filter(
    (word) => word.kind === 'flag' && /^(?:--interactive|-i|--privileged)$/.test(word.name),
  )
  const isSwitched = switches.every((word) => word.kind === 'flag' && word.value === undefined)
  const hasValues = env.every((value) => /^[^=]+=/.test(value))
  if (!isPlain || !isSwitched || !hasValues || !container || line.length === 0) return undefined
  const last = (...names: string[]) => names.flatMap((name) => valuesOf(words, name)).at(-1)
  return {
    ...{ container, command: line, env, privileged: has('--privileged') },
    ...{ user: last('--user', '-u'), folder: last('--workdir', '-w') },
    input: has('--interactive', '-i'),
  }
}

/** Whether the user's docker configuration has no settings that change the behavior of docker. */
async function isPlainDocker({ env, cwd }: Streams): Promise<boolean> {
  if (env['DOCKER_CUSTOM_HEADERS']) return false
  try {
    const file = resolve(cwd, configFolder(env), 'config.json')
    const config = JSON.parse(await readFile(file, 'utf8')) as object
    return !['detachKeys', 'HttpHeaders', 'plugins', 'aliases'].some((name) => name in config)
  } catch (error) {
    return codeOf(error) === 'ENOENT'
  }
}

async function write(stream: Writable, chunk: Buffer): Promise<void> {
  if (!stream.write(chunk)) await once(stream, 'drain')
}

/** Forwards input and output until the command exits. */
async function joinStreams(
  connection: Duplex,
  { stdin, stdout, stderr }: Streams,
  input: boolean,
): Promise<void> {
  connection.on('error', () => {}) // the loop below reports it
  if (input) stdin.pipe(connection)
  else connection.end()
  try {
    for await (const { stream, payload } of readFrames(connection)) {
      await write(stream === 'stdout' ? stdout : stderr, payload)
    }
  } finally {
    stdin.unpipe(connection)
    if (input) stdin.pause()
    connection.destroy()
  }
}

/** Reports an error of the engine in the format of docker. */
function reportEngineError(error: unknown, { stderr }: Streams): number {
  if (!(error instanceof UserError) || error.kind !== 'failed') throw error
  stderr.write(`Error response from daemon: ${error.message}\n`)
  return 1
}

/**
 * Runs a simple `docker exec` with three API requests, without starting docker. Resolves to the exit code; undefined, with
 * nothing done, if docker must run the command or report the error.
 */
export async function execInContainer(
  context: Context,
  machine: Machine,
  args: readonly string[],
  streams: Streams,
): Promise<number | undefined> {
  const request = readExec(args)
  if (request === undefined || !(await isPlainDocker(streams))) return undefined
  const engine = await context.engine(machine)
  const id = await createExec(engine, request).catch((error: unknown) => {
    if (error instanceof UserError && error.kind === 'failed') return undefined // docker reports it better
    throw error
  })
  if (id === undefined || streams.signal.aborted) return undefined
  context.hosted?.commit()
  return runExec(engine, id, request, streams)
}

async function runExec(
  engine: Engine,
  id: string,
  { input }: ExecRequest,
  streams: Streams,
): Promise<number> {
  const { signal } = streams
  let connection: Duplex
  try {
    connection = await startExec(engine, id)
  } catch (error) {
    return reportEngineError(error, streams)
  }
  const leave = () => connection.destroy() // like docker, leave the command running
  signal.addEventListener('abort', leave)
  try {
    if (signal.aborted) leave()
    await joinStreams(connection, streams, input)
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
  return signal.aborted ? 128 + constants.signals[signalBehind(signal)] : readExitCode(engine, id)
}
