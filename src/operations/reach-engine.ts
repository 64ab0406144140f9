import { Duplex } from 'node:stream'
import type { Dial } from '../engine/engine.ts'
import { UserError, codeOf } from '../errors.ts'
import { type CommandResult, beginningOf, run } from '../transport/run.ts'
import type { RunningCommand, Transport } from '../transport/transport.ts'

type Words = readonly string[]

/** How an engine was reached before: at its socket, or by a docker command on the host, as oneself or as root. */
type EngineWay = 'socket' | CommandUser
/** As whom docker is run on the host. */
type CommandUser = 'user' | 'root'

/** What is known of the way to an engine, from one connection to the next. */
export interface EngineMemory {
  way?: EngineWay | undefined
}

/**
 * Opens connections to the engine that listens on `socketPath` of a host: to the socket itself, or,
 * where the host refuses that, through a docker command there, with sudo where it takes that.
 * What worked is kept in `memory`. Throws kind `failed`, saying what is in the way, when nothing works.
 */
export function dialEngine(
  transport: Transport,
  socketPath: string,
  machine: string,
  memory: EngineMemory = {},
): Dial {
  const { relay } = transport
  if (relay) {
    const direct = (own: Transport) => dialEngine(own, socketPath, machine, memory)()
    return () => relay.dialEngine(socketPath, direct)
  }
  let search: Promise<CommandUser> | undefined
  const byCommand = async (way: CommandUser): Promise<Duplex> =>
    startCommand(transport, commandOf(way, socketPath), machine, () => (memory.way = undefined))
  return async () => {
    const { way = 'socket' } = memory
    if (way !== 'socket') return byCommand(way)
    try {
      const connection = await transport.dial({ path: socketPath })
      memory.way = 'socket'
      return connection
    } catch (error) {
      if (codeOf(error) !== 'REFUSED') throw error
    }
    search ??= findCommand(transport, socketPath, machine).finally(() => (search = undefined))
    const found = await search
    memory.way = found
    return byCommand(found)
  }
}

/** A docker command that passes its input and output on to an engine. */
function commandOf(way: CommandUser, socketPath: string): Words {
  const words = ['env', `DOCKER_HOST=unix://${socketPath}`, 'docker', 'system', 'dial-stdio']
  return way === 'root' ? ['sudo', '-n', ...words] : words
}

/** The way through a command on the host that reaches the engine. */
async function findCommand(
  transport: Transport,
  path: string,
  machine: string,
): Promise<CommandUser> {
  const failures: CommandResult[] = []
  for (const way of ['user', 'root'] as const) {
    const input = 'GET /_ping HTTP/1.0\r\n\r\n'
    const result = await run(transport, commandOf(way, path), { input })
    if (result.stdout.startsWith('HTTP/1.')) return way
    failures.push(result)
  }
  throw explain(failures, path, machine)
}

/**
 * Starts the command, as a connection to the engine. Ends the command when it is closed; `failed` is called when
 * it ends with a failure.
 */
async function startCommand(
  transport: Transport,
  command: Words,
  machine: string,
  failed: () => void,
): Promise<Duplex> {
  const ending = new AbortController()
  const running = await inTime(transport.exec(command, { signal: ending.signal }), () => {
    const busy = sessionsBusy(machine)
    ending.abort(busy)
    return busy
  })
  const connection = joinStreams(running, () => ending.abort())
  Promise.all([running.exit, beginningOf(running.stderr)]).then(
    ([status, words]) => {
      const ended = 'code' in status && status.code === 0
      if (!ended) failed()
      connection.destroy(ended ? undefined : new UserError('failed', words.trim(), { machine }))
    },
    (error: Error) => connection.destroy(error),
  )
  return connection
}

/** A command's input and output as one connection; `close` is called when it is closed. */
function joinStreams({ stdin, stdout }: RunningCommand, close: () => void): Duplex {
  const connection = new Duplex({
    allowHalfOpen: false,
    read: () => void stdout.resume(),
    write: (chunk: Buffer, _encoding, done) => void stdin.write(chunk, done),
    final: (done) => void stdin.end(done),
    destroy(error, done) {
      close()
      done(error)
    },
  })
  const fail = (error: Error) => connection.destroy(error)
  stdin.on('error', fail)
  stdout
    .on('data', (chunk) => connection.push(chunk) || stdout.pause())
    .on('end', () => connection.push(null))
    .on('error', fail)
  return connection
}

/** Commands wait for each other where the SSH server allows few at once; streams that never end would for ever. */
const patienceMs = 10_000

async function inTime<T>(work: Promise<T>, expire: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(expire()), patienceMs)
  })
  return Promise.race([work, expired]).finally(() => clearTimeout(timer))
}

const sessionsBusy = (machine: string): UserError =>
  new UserError('failed', 'the SSH server allows no more streams at once', {
    machine,
    hint: 'ask for fewer containers, or let the user forward to the engine: group docker on the host',
  })

/** The exit code of a shell, and of env(1), where a command is not found. */
const notFound = 127
const notRunning = /connect: (?:no such file or directory|connection refused)|daemon running\?/
const denied = /permission denied/

/** Why neither the user nor sudo could reach the engine. */
function explain([asUser, asRoot]: CommandResult[], path: string, machine: string): UserError {
  const words = [asUser, asRoot].map((result) => result?.stderr.trim() ?? '')
  if (words.some((text) => notRunning.test(text))) {
    return new UserError('failed', `the engine is not running: nothing answers on ${path}`, {
      machine,
      hint: `fleet provision ${machine}`,
    })
  }
  if (asUser?.code === notFound) {
    return new UserError('failed', 'docker is not installed', {
      machine,
      hint: `fleet provision ${machine}`,
    })
  }
  if (denied.test(words[0] ?? '')) {
    return new UserError('failed', `this user may not use the engine's socket ${path}`, {
      machine,
      hint: 'put the user into the group docker of the host, or let it use sudo without a password',
    })
  }
  return new UserError('failed', `the engine cannot be reached: ${words[0]}`, { machine })
}
