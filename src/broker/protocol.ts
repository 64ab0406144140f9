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

/*
 * What commands and the broker say to each other, over a Unix socket.
 *
 * One connection carries one request. Both sides send frames (wire.ts): messages, which are JSON, bytes, and
 * the end of bytes. The command begins with a `Request`. The broker answers
 *   { accepted }         at once, before it does anything; or
 *   { retired }          it is of another build: it listens no more, and the command starts another broker;
 * then, as it comes,
 *   { ask }              a question for the person at the command's terminal, who answers { answer };
 *   { opened }           what was asked for is there; or
 *   { error }            it is not: as the error that the broker met, for the command to throw.
 * After { opened }, bytes flow both ways without further ado:
 *   link                 nothing; { error } tells that the link was lost
 *   dial, engine         the bytes of the connection; { error } when it breaks
 *   exec                 from the command the program's input, { kill } and { resize }; from the broker its
 *                        output, its errors, { taken } for each piece of input that the program has taken,
 *                        and { exit } at the end, or { error }
 *   command              as exec, of a command of fleet's own; { opened } holds what to say where the broker ends,
 *                        and { want } tells when the command begins to read its input, or wants the terminal raw
 *   socket               nothing: the engine socket is served as long as the connection lasts, or its holder;
 *                        { error } tells that a connection through it broke
 *   forget, status, stop nothing
 * Whoever is done closes the connection. A connection that closes before its end of bytes, { exit } or { error }
 * broke. What a request may hold is free to change with every build; that a request has `protocol` and `build`,
 * and what { retired } means, is not.
 */

/** The version of what never changes between builds. */
export const protocolVersion = 1

/** How much input of a program may be under way: the broker always reads, so that signals get through. */
export const inputWindow = 1 << 20

/** A host to log in to, and the hosts to jump through. */
export type BrokerTarget = Omit<SshTarget, 'via'> & { readonly via?: BrokerTarget | undefined }

/** As whom to log in: what the command's own surroundings offer. */
export interface Login {
  /** SSH_AUTH_SOCK and HOME. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether a person can be asked. */
  readonly canAsk: boolean
}

interface OnHost extends Login {
  readonly target: BrokerTarget
}

/** How a stream of a command looks. */
export interface TtyInfo {
  readonly isTTY: boolean
  readonly columns?: number
  readonly rows?: number
}

/** A command line of fleet's own, for the broker to run: it has the connections, and all code is loaded there. */
export interface HostedCommand {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: TtyInfo
  readonly stdout: TtyInfo
  readonly stderr: TtyInfo
}

/** What a hosted command wants of the process that asked. */
export type StdinRequest = { readonly input: true } | { readonly raw: boolean }

/** How the process that asked ends, where the broker does. */
export interface DisconnectInfo {
  readonly code: number
  /** For stderr. */
  readonly words: string
}

/** A command of fleet's own that the broker runs. */
export interface HostedRun extends RunningCommand {
  readonly loss: DisconnectInfo
  /** Hands over what it has wanted so far, and what it wants from now on. */
  onWant(take: (want: StdinRequest) => void): void
  /** Whoever asked is gone: ends it, and what it runs. */
  abandon(): void
}

/** What a connection to the broker is for. */
export type Request =
  | (OnHost & { readonly open: 'link' })
  | (OnHost & { readonly open: 'dial'; readonly socket: SocketAddress })
  | (OnHost & { readonly open: 'engine'; readonly path: string })
  | (OnHost & {
      readonly open: 'exec'
      readonly command: CommandLine
      readonly terminal?: ExecOptions['terminal']
    })
  | (OnHost & {
      readonly open: 'socket'
      readonly path: string
      readonly file: string
      readonly holder?: ProcessRef | 'context' | undefined
    })
  | (HostedCommand & { readonly open: 'command' })
  | { readonly open: 'forget'; readonly files: readonly string[] }
  | { readonly open: 'status' }
  | { readonly open: 'stop' }

/** The first message of a connection. */
export type Hello = Request & {
  readonly protocol: number
  readonly build: string
  /** There where the command is traced: the broker sends its own lines back, in frames of their own kind. */
  readonly trace?: TraceRequest | undefined
}

/** An error on its way from one process to the other. */
export interface SentError {
  readonly kind?: UserError['kind']
  readonly code?: string | undefined
  readonly message: string
  readonly machine?: string | undefined
  readonly hint?: string | undefined
}

/** What the broker says. */
export type ServerMessage =
  | { readonly accepted: true }
  | { readonly retired: true }
  | { readonly ask: Question }
  | { readonly opened: unknown }
  | { readonly taken: number }
  | { readonly want: StdinRequest }
  | { readonly exit: ExitStatus }
  | { readonly error: SentError }

/** What a command says after its request. */
export type ClientMessage =
  | { readonly answer: string }
  | { readonly kill: string }
  | { readonly resize: TerminalSize }

/** A connection that the broker keeps, as `fleet broker status` shows it. */
export interface HostStatus {
  readonly machine: string
  readonly user: string
  readonly address: string
  readonly port: number
  readonly state: 'connected' | 'connecting' | 'closed'
  /** Commands and connections that use it now. */
  readonly uses: number
}

/** What the broker tells of itself. */
export interface BrokerStatus {
  readonly pid: number
  /** When it was started, in ISO 8601. */
  readonly started: string
  readonly hosts: readonly HostStatus[]
  readonly sockets: readonly SocketStatus[]
}

/** An engine socket that the broker serves. */
export interface SocketStatus {
  readonly machine: string
  readonly path: string
  /** Whether a docker context names it. */
  readonly context: boolean
  /** The processes it is kept for. */
  readonly holders: readonly number[]
}
