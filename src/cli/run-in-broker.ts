import { once } from 'node:events'
import { PassThrough, Transform } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCli } from './program.ts'
import { verbOf } from '../commands/options/common-options.ts'
import { findCommand } from '../commands/find-command.ts'
import { UserError } from '../errors.ts'
import { openHostedInput } from './broker-input.ts'
import type { InBroker } from '../operations/context.ts'
import { createMemoryCache } from '../state/inventory/cache.ts'
import { brokerEnded } from '../broker/client/client.ts'
import type { InBrokerConnections } from '../broker/server/in-broker-connections.ts'
import {
  type BrokerTarget,
  type HostedCommand,
  type HostedRun,
  type Login,
  type DisconnectInfo,
  loginEnvironment,
} from '../broker/protocol.ts'
import type { Transport } from '../transport/transport.ts'
import { failureCodeOf, writeFailure } from '../ui/failure.ts'
import { type ProcessIo, type Program, openIo } from '../ui/io.ts'
import { trace } from '../os/trace.ts'

/**
 * The maximum time for which output is held back, in milliseconds. Until then, the client process can still run the
 * command.
 */
const holdBackMs = 150
/** The maximum amount of output that is held back, in bytes. */
const maxHeldBackBytes = 1 << 18

/** The inventories that earlier commands have read. */
const inventories = createMemoryCache()

/** Thrown when the client process must run the command itself. Never shown to the user. */
class FallBack extends Error {}

/** Returns what the client process prints, and its exit code, if the broker stops while the command is running. */
function disconnectInfo(
  io: ProcessIo,
  argv: readonly string[],
  machines: ReadonlySet<string>,
): DisconnectInfo {
  const [machine] = machines
  const error = brokerEnded(machines.size === 1 ? machine : undefined)
  let message = ''
  const stderr = Object.assign(new PassThrough(), { isTTY: io.stderr.isTTY === true })
  stderr.on('data', (chunk: Buffer) => (message += chunk.toString()))
  writeFailure(openIo({ ...io, stderr }), error, argv.includes('--json'))
  message += String(stderr.read() ?? '')
  return { code: failureCodeOf(error, findCommand(verbOf(argv))?.failureCode), message }
}

/**
 * Runs a command line in the broker, which has open connections and has loaded all code. Resolves when it is certain
 * that the broker will finish the command. Rejects, with nothing printed or done, if the client process must run it: a
 * host is not connected, the command needs the local computer, or it failed quickly and might succeed there.
 */
export async function runHosted(
  { argv, cwd, env, stdin: stdinInfo, stdout: stdoutInfo, stderr: stderrInfo }: HostedCommand,
  {
    program,
    connections,
  }: { readonly program: Program; readonly connections: InBrokerConnections },
): Promise<HostedRun> {
  const controller = new AbortController()
  const clientGone = new AbortController()
  const cancel = (name: string) => {
    controller.abort(new UserError('cancelled', 'cancelled', { cause: `SIG${name}` }))
  }
  const first = new AbortController()
  const answering = once(first.signal, 'abort').then(() => sleep(holdBackMs))
  const stdout = Object.assign(
    new Transform({
      highWaterMark: maxHeldBackBytes,
      transform(chunk: Buffer, _encoding, done) {
        first.abort()
        done(undefined, chunk)
      },
    }),
    stdoutInfo,
  )
  const stderr = Object.assign(new PassThrough({ highWaterMark: maxHeldBackBytes }), stderrInfo)
  const input = openHostedInput(stdinInfo)
  const io: ProcessIo = {
    ...{ stdin: input.stdin, stdout, stderr },
    ...{ env, cwd, program, signal: controller.signal },
  }
  const committed = new AbortController()
  let hasFallenBack = false
  const hosted: InBroker = {
    commit: () => {
      if (hasFallenBack) throw new FallBack()
      committed.abort()
    },
    fallBack() {
      trace('broker', 'run the command in its own process: the broker cannot complete it')
      hasFallenBack = true
      throw new FallBack()
    },
  }
  const machines = new Set<string>()
  const connect = async (
    target: BrokerTarget | undefined,
    env: Login['env'],
  ): Promise<Transport> => {
    if (target === undefined) return hosted.fallBack()
    const own = loginEnvironment(env, target)
    if (!committed.signal.aborted && !connections.has(target, own)) return hosted.fallBack()
    machines.add(target.machine)
    const transport = await connections.use(target, own)
    return {
      ...transport,
      exec(command, { signal, ...options } = {}) {
        hosted.commit()
        const signals = signal ? [signal, clientGone.signal] : [clientGone.signal]
        return transport.exec(command, { ...options, signal: AbortSignal.any(signals) })
      },
    }
  }
  const began = performance.now()
  const ran = runCli(argv, {
    io,
    version: program.version,
    hosted: {
      ...{ ...hosted, connect, inventories },
      isConnected: (target, env) => connections.has(target, loginEnvironment(env, target)),
    },
  })
  const code = await Promise.race([
    ran,
    answering,
    once(committed.signal, 'abort').then(() => undefined),
  ])
  const isQuick = performance.now() - began < 1000
  const failed = code !== undefined && code !== 0 && isQuick && !committed.signal.aborted
  if (hasFallenBack || failed) {
    if (failed)
      trace(
        'broker',
        `run the command again in its own process: it failed in the broker with exit code ${code}`,
      )
    hasFallenBack = true
    controller.abort(new FallBack())
    throw new FallBack('not here')
  }
  committed.abort()
  const end = async () => {
    const exitCode = await ran
    stdout.end()
    stderr.end()
    await Promise.all([finished(stdout), finished(stderr)])
    return { code: exitCode }
  }
  return {
    ...{ stdin: input.taken, stdout, stderr, exit: end() },
    disconnectInfo: disconnectInfo(io, argv, machines),
    onStdinRequest: (take) => input.onStdinRequest(take),
    resize(size) {
      Object.assign(stdout, size)
      stdout.emit('resize')
    },
    kill: cancel,
    abandon() {
      clientGone.abort(new UserError('cancelled', 'the client has disconnected'))
      cancel('HUP')
      for (const stream of [stdout, stderr]) stream.resume()
    },
  }
}
