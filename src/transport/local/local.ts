import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
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

/** Starts a command like sshd: with the user's login shell, in a new process group. */
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

/** A bind address of SSH as Node.js has it: "localhost" is 127.0.0.1, and "" all addresses. */
const bindAddress = ({ host, port }: { readonly host: string; readonly port: number }) =>
  host === '' ? { port } : { host: host === 'localhost' ? '127.0.0.1' : host, port }

async function listen(
  address: SocketAddress,
  take: (connection: Duplex) => void,
): Promise<RemoteListener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, take)
  server.listen('path' in address ? address : bindAddress(address))
  try {
    await once(server, 'listening')
  } catch (error) {
    throw refused((error as Error).message, error)
  }
  const bound = server.address()
  return {
    port: bound !== null && typeof bound === 'object' ? bound.port : undefined,
    async [Symbol.asyncDispose]() {
      server.close()
    },
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
