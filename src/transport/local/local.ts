import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, type ListenOptions, type Server, connect, createServer } from 'node:net'
import { userInfo } from 'node:os'
import type { Duplex } from 'node:stream'
import { UserError, codeOf } from '../../errors.ts'
import { shellLine, outputDelivered } from '../command.ts'
import { spawnOnTerminal } from './terminal.ts'
import { refused } from '../sockets/socket-stream.ts'
import type {
  ExecOptions,
  ExitStatus,
  RemoteListener,
  RunningCommand,
  SocketAddress,
  TerminalSize,
  Transport,
} from '../transport.ts'
import type { Environment } from '../../os/environment.ts'

interface Started {
  readonly child: ChildProcessWithoutNullStreams
  readonly resize: (size: TerminalSize) => void
}

/** Starts a command as sshd does: with the user's login shell, in a new process group. */
async function start(line: string, { terminal }: ExecOptions, env: Environment): Promise<Started> {
  const shell = userInfo().shell ?? '/bin/sh'
  if (terminal === undefined) {
    const options = { env: env as NodeJS.ProcessEnv, detached: true }
    const child = spawn(shell, ['-c', line], options)
    await once(child, 'spawn')
    return { child, resize: () => {} }
  }
  const { child, resize } = spawnOnTerminal(line, shell, terminal, env)
  try {
    await once(child, 'spawn')
    return { child: child as ChildProcessWithoutNullStreams, resize }
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    throw new UserError(
      'unsupported',
      'cannot allocate a terminal (TTY): script(1) is not installed on this computer',
      {
        hint: 'install util-linux (on Debian and Ubuntu: bsdutils)',
        cause: error,
      },
    )
  }
}

async function exec(line: string, options: ExecOptions, env: Environment): Promise<RunningCommand> {
  const { signal } = options
  signal?.throwIfAborted()
  const { child, resize } = await start(line, options, env)
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>

  const kill = (name: string) => {
    const over = child.exitCode !== null || child.signalCode !== null
    if (child.pid !== undefined && !over) process.kill(-child.pid, `SIG${name}`)
  }
  const aborted = new Promise<never>((_resolve, reject) => {
    const abort = () => {
      kill('TERM')
      for (const stream of child.stdio) stream?.destroy()
      reject(signal?.reason)
    }
    if (signal?.aborted) abort()
    signal?.addEventListener('abort', abort, { once: true })
    child.once('exit', () => signal?.removeEventListener('abort', abort))
  })
  const delivered = async (): Promise<ExitStatus> => {
    const [code, killedBy] = await ended
    await Promise.all([outputDelivered(child.stdout), outputDelivered(child.stderr)])
    return killedBy === null ? { code: code ?? 0 } : { signal: killedBy.slice('SIG'.length) }
  }
  const exit = Promise.race([delivered(), aborted])
  exit.catch(() => {}) // a caller may not be interested in the exit status
  const { stdin, stdout, stderr } = child
  return { stdin, stdout, stderr, exit, resize, kill }
}

async function dial(address: SocketAddress): Promise<Duplex> {
  const socket = connect('path' in address ? address : { ...address, noDelay: true })
  try {
    await once(socket, 'connect')
    return socket
  } catch (error) {
    throw refused((error as Error).message, error)
  }
}

type Take = (connection: Duplex) => void

async function serve(address: ListenOptions, take: Take): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, take)
  server.listen(address)
  await once(server, 'listening')
  return server
}

const portOf = (server: Server | undefined): number | undefined =>
  (server?.address() as AddressInfo | null | undefined)?.port

/** How many system-chosen ports to try if a port that is free on 127.0.0.1 is in use on ::1. */
const portTries = 5

/** Listens on 127.0.0.1 and, if IPv6 is available, on the same port of ::1. */
async function serveLoopback(port: number, take: Take, triesLeft: number): Promise<Server[]> {
  const first = await serve({ host: '127.0.0.1', port }, take)
  try {
    return [first, await serve({ host: '::1', port: portOf(first) ?? port }, take)]
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') return [first]
    first.close()
    if (port !== 0 || triesLeft <= 1) throw error
    return serveLoopback(port, take, triesLeft - 1)
  }
}

/** Listens on a bind address as SSH interprets it: "localhost" means the loopback addresses, and "" all addresses. */
async function serveAll(address: SocketAddress, take: Take): Promise<Server[]> {
  if ('path' in address) return [await serve(address, take)]
  const { host, port } = address
  if (host === 'localhost') return serveLoopback(port, take, portTries)
  return [await serve(host === '' ? { port } : { host, port }, take)]
}

async function listen(address: SocketAddress, take: Take): Promise<RemoteListener> {
  try {
    const servers = await serveAll(address, take)
    return {
      ...('port' in address && { port: portOf(servers[0]) }),
      async [Symbol.asyncDispose]() {
        for (const server of servers) server.close()
      },
    }
  } catch (error) {
    throw refused((error as Error).message, error)
  }
}

/** The transport for this computer. Its connection is never lost. */
export function openLocal(env: Environment): Transport {
  return {
    exec: (command, options = {}) => exec(shellLine(command), options, env),
    dial,
    listen,
    lost: new Promise<never>(() => {}),
    async [Symbol.asyncDispose]() {},
  }
}
