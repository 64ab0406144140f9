import type { Duplex, Readable, Writable } from 'node:stream'

/** A command line: an argument list, or a line for the login shell. */
export type CommandLine = readonly string[] | { readonly shell: string }

/** The size of a terminal, in character cells. */
export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

export interface ExecOptions {
  /** The size and type (`TERM`) of the terminal to run the command on; without it, the command has no terminal. */
  readonly terminal?: TerminalSize & { readonly type: string }
  /** Aborting terminates the command (with `TERM`) and rejects `exit` with the abort signal's reason. */
  readonly signal?: AbortSignal
  /** Whether the command may use the SSH agent of this login, as with `ssh -A`. */
  readonly forwardAgent?: boolean
}

/** How a command ended: its exit code, or the signal that killed it (`TERM`, without `SIG`). */
export type ExitStatus = { readonly code: number } | { readonly signal: string }

/** A command on a host. With a terminal, `stderr` stays empty. */
export interface RunningCommand {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /**
   * Resolves when the command has ended and all its output has been read. Rejects when the connection is lost or the
   * abort signal fires. A command blocks if its output is not read: read the output, or destroy the stream.
   */
  readonly exit: Promise<ExitStatus>
  /** Changes the size of the command's terminal. */
  resize(size: TerminalSize): void
  /** Sends a signal (`INT`, `TERM`, …; RFC 4254 6.9) to the command and its child processes. */
  kill(signal: string): void
}

/** A stream socket on the host, or one that the host can reach. */
export type SocketAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number }

/** A socket on which a host listens. Disposing of it closes the socket; connections that were accepted stay open. */
export interface RemoteListener extends AsyncDisposable {
  /** The TCP port, which the host chooses if 0 was requested. */
  readonly port?: number | undefined
}

/** Identifies a process by its ID and start time, since IDs are reused. */
export interface ProcessRef {
  readonly pid: number
  readonly since: string | undefined
}

/** A Unix socket on this computer that forwards to an engine. */
export interface EngineSocket {
  readonly path: string
  /** Rejects when the connection to the host is lost while the socket is in use; never resolves. */
  readonly lost: Promise<never>
}

/** Connections that the broker keeps between commands. */
interface Relay {
  /**
   * Opens a connection to the engine that listens on `path` on the host, by the method that worked before. Calls
   * `otherwise` if the broker is no longer available.
   */
  dialEngine(path: string, otherwise: (transport: Transport) => Promise<Duplex>): Promise<Duplex>
  /**
   * Serves a local Unix socket named `file` that forwards to the engine. The socket exists until the result is disposed
   * of.
   */
  serveEngine(path: string, file: string): Promise<EngineSocket & AsyncDisposable>
}

/**
 * A connection to a host. Safe for concurrent use. If the host cannot be reached, methods reject with a
 * `UserError` of kind `unreachable`, `host-key` or `credentials`.
 */
export interface Transport extends AsyncDisposable {
  /** Starts a command. Resolves when it is running. */
  exec(command: CommandLine, options?: ExecOptions): Promise<RunningCommand>
  /** Opens a connection to a socket from the host. Rejects with code `REFUSED` if the host cannot connect to it. */
  dial(socket: SocketAddress): Promise<Duplex>
  /**
   * Makes the host listen on a socket, and passes each connection to `take`. The address "localhost" means the host's
   * loopback addresses, and "" means all its addresses (RFC 4254 7.1). Rejects with code `REFUSED` if the host cannot
   * or may not listen.
   */
  listen(socket: SocketAddress, take: (connection: Duplex) => void): Promise<RemoteListener>
  /** Present if the broker keeps the connection. */
  readonly relay?: Relay
  /** Rejects when the connection is lost; never resolves. */
  readonly lost: Promise<never>
}
