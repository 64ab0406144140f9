import type { UserError } from '../errors.ts'
import type { TraceRequest } from '../os/trace.ts'
import type { Question, SshTarget } from '../transport/ssh/connect.ts'
import type {
  CommandLine,
  ExecOptions,
  ExitStatus,
  ProcessRef,
  RunningCommand,
  SocketAddress,
  TerminalSize,
} from '../transport/transport.ts'
import type { Environment } from '../os/environment.ts'

/*
 * The protocol between commands (clients) and the broker, over a Unix socket.
 *
 * Each connection carries one request. Both sides send frames (frames.ts): JSON messages, data, and the end of the
 * data. The client sends a `Request` first. The broker answers
 *   { accepted }         immediately, before any other work; or
 *   { retired }          if it belongs to another build: it stops listening, and the client starts another broker;
 * and then
 *   { ask }              a prompt for the user, which the client answers with { answer };
 *   { opened }           when the request has been carried out; or
 *   { error }            when the request failed: the client throws this error.
 * After { opened }, both sides send data, depending on the request:
 *   link                 nothing; { error } when the connection to the host is lost
 *   dial, engine         the data of the stream; { error } when it breaks
 *   exec                 client: the program's input, { kill } and { resize }; broker: its output, its error output,
 *                        { taken } for each chunk of input that the program has read, and at the end { exit } or
 *                        { error }
 *   command              like exec, for a fleet command line; { opened } contains what the client prints if the
 *                        broker stops, and { want } asks the client to read its input or to switch its terminal to
 *                        raw mode
 *   listen               broker: { listening }, then { connection } for each connection that the host accepts
 *   accept               the data of a connection that was announced to a listener; { error } when it breaks
 *   socket               nothing: the engine socket is served until the connection closes, or until its holder ends;
 *                        { error } when a connection through it breaks
 *   forward              nothing: the ports are forwarded until they are stopped
 *   forget, stopForwards, status, stop  nothing
 * The side that has finished closes the connection. A connection that closes before the end of the data, { exit } or
 * { error } was broken. The content of requests may change with every build, but `protocol`, `build` and { retired }
 * keep their meaning.
 */

/** The version of the fields that every build understands: `protocol`, `build` and `retired`. */
export const protocolVersion = 1

/** How many bytes of input may be unacknowledged. The broker always reads, so that signals are not delayed. */
export const inputWindow = 1 << 20

/** A host to log in to, with its jump hosts. */
export type BrokerTarget = Omit<SshTarget, 'via'> & { readonly via?: BrokerTarget | undefined }

/** The user's login data: agent and prompts. */
export interface Login {
  /** The environment variables that the login needs (see {@link loginEnvironment}). */
  readonly env: Environment
  /** Whether the command can prompt the user. */
  readonly canPrompt: boolean
}

/**
 * Variables that fleet's own client needs, and variables that ssh and its libraries for security keys, tokens and
 * Kerberos read.
 */
const loginVariables = [
  ...['SSH_AUTH_SOCK', 'HOME', 'PATH', 'SSH_SK_PROVIDER', 'SOFTHSM2_CONF', 'OPENSC_CONF'],
  ...['KRB5CCNAME', 'KRB5_CONFIG'],
]

/**
 * Selects the environment variables that a login needs. Other variables, such as a provider's secrets, do not reach the
 * broker, unless the login runs ssh or a proxy program, which get the whole environment.
 */
export function loginEnvironment(env: Login['env'], target: BrokerTarget): Login['env'] {
  const runsProgram = (one: BrokerTarget): boolean =>
    one.proxyCommand !== undefined ||
    one.alias !== undefined ||
    one.client === 'openssh' ||
    (one.via !== undefined && runsProgram(one.via))
  if (runsProgram(target)) return env
  return Object.fromEntries(loginVariables.map((name) => [name, env[name]]))
}

interface OnHost extends Login {
  readonly target: BrokerTarget
}

/** The properties of a standard stream of the client process. */
export interface TtyInfo {
  readonly isTTY: boolean
  readonly columns?: number
  readonly rows?: number
}

/** A fleet command line to run in the broker, which already has its connections open and its code loaded. */
export interface HostedCommand {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Environment
  readonly stdin: TtyInfo
  readonly stdout: TtyInfo
  readonly stderr: TtyInfo
}

/** A request to the client process: read its standard input, or switch its terminal to raw mode. */
export type StdinRequest = { readonly input: true } | { readonly raw: boolean }

/** The message that the client process prints, and its exit code, if the broker stops. */
export interface DisconnectInfo {
  readonly code: number
  /** Written to stderr. */
  readonly message: string
}

/** A fleet command line that runs in the broker. */
export interface HostedRun extends RunningCommand {
  readonly disconnectInfo: DisconnectInfo
  /** Calls `take` with each request to the client process, including requests made before this call. */
  onStdinRequest(take: (want: StdinRequest) => void): void
  /** Stops the command, because the client process has exited. */
  abandon(): void
}

/** The target of a forwarded connection: a TCP port of a host, or of a container on it. */
export interface ForwardTarget {
  /** The name, ID or Compose service of the container. If absent, the target is the host itself. */
  readonly container?: string | undefined
  /** The address to connect to, as seen from the host (default: localhost). Not used for containers. */
  readonly address?: string | undefined
  readonly port: number
}

/** A port or socket of this computer that is forwarded. */
export interface PortForward {
  /** The local address on which connections are accepted. If the port is 0, the system chooses one. */
  readonly listen: SocketAddress
  /** Whether another port may be used if this port is in use or if only root may open it. */
  readonly orAnyPort?: boolean
  readonly target: ForwardTarget
}

/** A request to the broker. Each connection carries one. */
export type Request =
  | (OnHost & { readonly open: 'link' })
  | (OnHost & { readonly open: 'dial'; readonly socket: SocketAddress })
  | (OnHost & { readonly open: 'engine'; readonly path: string })
  | (OnHost & {
      readonly open: 'exec'
      readonly command: CommandLine
      readonly terminal?: ExecOptions['terminal']
      readonly forwardAgent?: boolean | undefined
    })
  | (OnHost & { readonly open: 'listen'; readonly socket: SocketAddress })
  | { readonly open: 'accept'; readonly connection: string }
  | (OnHost & {
      readonly open: 'socket'
      readonly path: string
      readonly file: string
      readonly holder?: ProcessRef | 'context' | undefined
    })
  | (OnHost & {
      readonly open: 'forward'
      /** The path of the engine's socket on the host, for looking up containers. */
      readonly path: string
      readonly forwards: readonly PortForward[]
    })
  | { readonly open: 'stopForwards'; readonly locals: readonly string[] }
  | (HostedCommand & { readonly open: 'command' })
  | { readonly open: 'forget'; readonly files: readonly string[] }
  | { readonly open: 'status' }
  | { readonly open: 'stop' }

/** The first message of a connection. */
export type Hello = Request & {
  readonly protocol: number
  readonly build: string
  /** Present if the command is traced: the broker sends its own trace lines back, in frames of kind `trace`. */
  readonly trace?: TraceRequest | undefined
}

/** An error as it is sent to the other process. */
export interface SentError {
  readonly kind?: UserError['kind']
  readonly code?: string | undefined
  readonly message: string
  readonly machine?: string | undefined
  readonly hint?: string | undefined
}

/** A message from the broker. */
export type ServerMessage =
  | { readonly accepted: true }
  | { readonly retired: true }
  | { readonly ask: Question }
  | { readonly opened: unknown }
  | { readonly taken: number }
  | { readonly want: StdinRequest }
  | { readonly exit: ExitStatus }
  | { readonly listening: { readonly port?: number | undefined } }
  | { readonly connection: string }
  | { readonly error: SentError }

/** A message from the client after its request. */
export type ClientMessage =
  | { readonly answer: string }
  | { readonly kill: string }
  | { readonly resize: TerminalSize }

/** A connection of the broker, as `fleet broker status` shows it. */
export interface HostStatus {
  readonly machine: string
  readonly user: string
  readonly address: string
  readonly port: number
  readonly state: 'connected' | 'connecting' | 'closed'
  /** The number of commands and streams that are using the connection. */
  readonly uses: number
}

/** The state of the broker. */
export interface BrokerStatus {
  readonly pid: number
  /** The time at which the broker started, in ISO 8601. */
  readonly started: string
  readonly hosts: readonly HostStatus[]
  readonly sockets: readonly SocketStatus[]
  readonly forwards: readonly ForwardStatus[]
}

/** A port or socket of this computer that the broker forwards. */
export interface ForwardStatus {
  /** `127.0.0.1:8080`, `[::1]:8080`, or the path of a socket. */
  readonly local: string
  readonly machine: string
  readonly container?: string | undefined
  readonly port: number
  /** The number of open connections. */
  readonly connections: number
  /** Why the last connection failed, or why no connections are accepted; `at` is in ISO 8601. */
  readonly error?: { readonly message: string; readonly at: string } | undefined
}

/** An engine socket that the broker serves. */
export interface SocketStatus {
  readonly machine: string
  readonly path: string
  /** Whether a docker context uses it. */
  readonly context: boolean
  /** The IDs of the processes for which the socket is served. */
  readonly holders: readonly number[]
}
