import { once } from 'node:events'
import { PassThrough, Readable, Transform } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { runCli } from './cli.ts'
import { UserError } from './errors.ts'
import type { BrokerTarget, HostedCommand, Login } from './transport/broker/protocol.ts'
import type { RunningCommand } from './transport/transport.ts'
import type { Io } from './ui/io.ts'

/** How long a command may answer before what it has answered so far is passed on, in milliseconds. */
const patienceMs = 150
/** How much of the answer is kept meanwhile, in bytes. */
const longestAnswer = 1 << 18

/** A connection is missing that only the command's own process may make: its environment and terminal are there. */
class NotConnected extends Error {}

/** What the broker has for commands that it runs itself. */
interface Host {
  readonly version: string
  readonly program: string
  readonly isConnected: (target: BrokerTarget, env: Login['env']) => boolean
}

/**
 * Runs a command line in the broker, where the connections are and all code is loaded. Resolves once it is sure that it
 * answers here. Rejects, with nothing said or done, where the command's own process does better: a host is not connected, or
 * the answer is a quick failure, which may be different there.
 */
export async function runHosted(
  { argv, cwd, env, stdout: out, stderr: err }: HostedCommand,
  { version, program, isConnected }: Host,
): Promise<RunningCommand> {
  const controller = new AbortController()
  const cancel = () => {
    controller.abort(new UserError('cancelled', 'cancelled', { cause: 'SIGINT' }))
  }
  const first = new AbortController()
  const begun = once(first.signal, 'abort')
  const stdout = new Transform({
    highWaterMark: longestAnswer,
    transform(chunk: Buffer, _encoding, done) {
      first.abort()
      done(undefined, chunk)
    },
  })
  const stderr = new PassThrough({ highWaterMark: longestAnswer })
  const stdin = Readable.from([])
  const io: Io = {
    ...{ stdin, stdout: Object.assign(stdout, out), stderr: Object.assign(stderr, err) },
    ...{ env, cwd, program, signal: controller.signal },
  }
  let isMissing = false
  let isDecided = false
  const requireConnected = (target: BrokerTarget): void => {
    if (isDecided || isConnected(target, env)) return
    isMissing = true
    throw new NotConnected(target.machine)
  }
  const began = performance.now()
  const ran = runCli(argv, { io, version, requireConnected })
  const code = await Promise.race([ran, begun.then(() => sleep(patienceMs))])
  isDecided = true
  const isQuick = performance.now() - began < 1000
  if (isMissing || (code !== undefined && code !== 0 && isQuick)) {
    controller.abort(new NotConnected())
    throw new NotConnected('not here')
  }
  const end = async () => {
    const exitCode = await ran
    stdout.end()
    stderr.end()
    await Promise.all([finished(stdout), finished(stderr)])
    return { code: exitCode }
  }
  return {
    ...{ stdin: new PassThrough().resume(), stdout, stderr, exit: end() },
    resize: () => {},
    kill: cancel,
  }
}
