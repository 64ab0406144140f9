import type { Duplex, Readable, Writable } from 'node:stream'

/** A command line: words that reach the program unchanged, or a line for the login shell to interpret. */
export type CommandLine = readonly string[] | { readonly shell: string }

/** A terminal to give the command, in character cells. */
export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

export interface ExecOptions {
  /** Gives the command a terminal of this size and kind (`TERM`). */
  readonly terminal?: TerminalSize & { readonly type: string }
  /** Aborting ends the command (TERM) and rejects `exit` with the signal's reason. */
  readonly signal?: AbortSignal
}

/** How a command ended: its exit code, or the signal (`TERM`, no `SIG`) that killed it. */
export type ExitStatus = { readonly code: number } | { readonly signal: string }

/** A command that runs on a host. With a terminal, `stderr` stays empty. */
export interface RunningCommand {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /**
   * Resolves once the command ended and whoever reads its output has it all; rejects when the link is lost
   * or the signal aborts. Output that nobody reads holds a command back: read it, or destroy the stream.
   */
  readonly exit: Promise<ExitStatus>
  /** Tells a command with a terminal that its window changed. */
  resize(size: TerminalSize): void
  /** Sends a signal (`INT`, `TERM`, …; RFC 4254 6.9) to the command and what it started. */
  kill(signal: string): void
}

/** A stream socket on the host, or one that the host can reach. */
export type SocketAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number }

/** A process that something is kept for, told from a later one of the same number by when it was started. */
export interface ProcessRef {
  readonly pid: number
  readonly since: string | undefined
}

/** A Unix socket of this computer that leads to an engine. */
export interface EngineSocket {
  readonly path: string
  /** Rejects when the host is lost while somebody uses the socket; never resolves. */
  readonly lost: Promise<never>
}

/** What a process that keeps links from one command to the next does beside. */
interface Relay {
  /**
   * Opens a connection to the engine that listens on `path` of the host, on the way that was found before.
   * `otherwise` is for when that process is no more.
   */
  dialEngine(path: string, otherwise: (transport: Transport) => Promise<Duplex>): Promise<Duplex>
  /** Serves a Unix socket of this computer that leads to that engine, under the name `file`, until it is disposed of. */
  serveEngine(path: string, file: string): Promise<EngineSocket & AsyncDisposable>
}

/**
 * A way to a host. Safe for concurrent use. Every failure to reach the host is a
 * `UserError` of kind `unreachable`, `host-key` or `credentials`.
 */
export interface Transport extends AsyncDisposable {
  /** Starts a command. Resolves once it runs. */
  exec(command: CommandLine, options?: ExecOptions): Promise<RunningCommand>
  /** Opens a connection to a socket from the host. Rejects with code `REFUSED` when the host will not. */
  dial(socket: SocketAddress): Promise<Duplex>
  /** There where another process keeps the link. */
  readonly relay?: Relay
  /** Rejects when the link is lost; never resolves. */
  readonly lost: Promise<never>
}
