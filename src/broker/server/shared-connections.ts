import { once } from 'node:events'
import { UserError } from '../../errors.ts'
import {
  createHandshakeLimiter,
  limiterKey,
  handshakesAtOnce,
} from '../../transport/ssh/handshake-limiter.ts'
import type { Prompt, SshOptions, SshTarget } from '../../transport/ssh/connect.ts'
import type { Transport } from '../../transport/transport.ts'
import type { BrokerTarget, HostStatus, Login } from '../protocol.ts'
import { trace, traceError } from '../../os/trace.ts'
import { pause } from '../../os/retry.ts'

/** The command that needs a connection. */
interface Caller {
  readonly env: Login['env']
  /** Prompts the user at the command's terminal; undefined if the command has no terminal. */
  readonly prompt: Prompt | undefined
}

/** A connection in use. It stays open until it is released, unless it is lost. */
interface Use {
  readonly transport: Transport
  readonly release: () => void
}

/** The shared connections to hosts. */
export interface Hosts extends AsyncDisposable {
  /**
   * Resolves to the connection to a host, which is opened if necessary. Rejects as `connectSsh` does. If `forSession`
   * is set and the connection has no free session, another connection is used.
   */
  use(target: BrokerTarget, caller: Caller, forSession?: boolean): Promise<Use>
  /** Whether a connection to a host is open. */
  isConnected(target: BrokerTarget, env: Login['env']): boolean
  status(): HostStatus[]
  /** The number of open connections and of hosts that are being connected to. */
  count(): number
}

export interface HostsOptions {
  readonly connect: (target: SshTarget, options: SshOptions) => Promise<Transport>
  /** How long an unused connection is kept, in milliseconds. */
  readonly idleMs: number
  /** Called when a connection has been closed. */
  readonly onClosed: () => void
}

/** The maximum number of sessions on one connection. sshd allows 10 by default (sshd_config(5), MaxSessions). */
const sessionsPerConnection = 8

/** Returns the pause before the next attempt after the given number of consecutive failures, in milliseconds. */
const retryDelayMs = (failures: number): number =>
  failures < 2 ? 0 : Math.min(100 * 2 ** (failures - 2), 2_000)

/** An open connection. */
interface Link {
  readonly transport: Transport
  /** Closes the connection, and releases its jump host. */
  readonly close: () => Promise<void>
}

/** The connection state of one host and login. */
interface Host {
  readonly target: BrokerTarget
  link: Link | undefined
  /** The current attempt to connect, which other commands wait for until it prompts the user. */
  attempt: Promise<Transport | undefined> | undefined
  attempts: number
  uses: number
  sessions: number
  failures: number
  failedAt: number
  idle: NodeJS.Timeout | undefined
}

/** Identifies a host and login. Connections with different agents are never shared. */
export const identityOf = (target: BrokerTarget, { SSH_AUTH_SOCK, HOME }: Login['env']): string =>
  JSON.stringify([target, SSH_AUTH_SOCK, HOME])

/** Opens the registry that keeps one connection for each host and login. */
export function openHosts({ connect, idleMs, onClosed }: HostsOptions): Hosts {
  const hosts = new Map<string, Host>()
  const enter = createHandshakeLimiter(handshakesAtOnce)

  async function connectOnce(host: Host, caller: Caller): Promise<Transport> {
    const { target } = host
    await pause(Math.max(0, host.failedAt + retryDelayMs(host.failures) - performance.now()))
    const via = target.via && (await use(target.via, caller))
    trace('ssh', `connect to ${target.machine} (${target.user}@${target.address}:${target.port})`)
    const leave = await enter(target.via ? `via ${limiterKey(target.via)}` : limiterKey(target))
    try {
      const transport = await connect({ ...target, via: via?.transport }, caller)
      host.failures = 0
      return share(host, transport, () => via?.release())
    } catch (error) {
      host.failures += 1
      host.failedAt = performance.now()
      traceError('ssh', `connect to ${target.machine}`, error)
      via?.release()
      throw error
    } finally {
      leave()
    }
  }

  /** Makes a new connection the shared connection of its host, unless another attempt has already succeeded. */
  function share(host: Host, transport: Transport, ended: () => void): Transport {
    const close = async () => {
      await transport[Symbol.asyncDispose]()
      ended()
    }
    if (host.link) {
      void close()
      return host.link.transport
    }
    const link = { transport, close }
    host.link = link
    transport.lost.catch(() => {
      ended()
      if (host.link === link) host.link = undefined
      onClosed()
    })
    return transport
  }

  /**
   * Connects, and shares the attempt with other commands. Once the user is prompted, the other commands make their own
   * attempts, since the user might not answer.
   */
  function attempt(host: Host, caller: Caller): Promise<Transport> {
    const { prompt } = caller
    const promptShown = new AbortController()
    const waitNoLonger = once(promptShown.signal, 'abort').then(() => undefined)
    const prompting: Prompt | undefined =
      prompt &&
      ((question) => {
        promptShown.abort()
        if (host.attempt === shared) host.attempt = undefined
        return prompt(question)
      })
    host.attempts += 1
    const attempted = connectOnce(host, { ...caller, prompt: prompting }).finally(() => {
      host.attempts -= 1
      if (host.attempt === shared) host.attempt = undefined
    })
    const shared = Promise.race([attempted, waitNoLonger])
    shared.catch(() => {}) // handled by the caller of `attempt`
    host.attempt = shared
    return attempted
  }

  async function linkTo(host: Host, caller: Caller): Promise<Transport> {
    const link = linkOf(host)
    if (link) {
      trace('broker', `use the open connection to ${host.target.machine}`)
      return link
    }
    if (host.attempt)
      trace('broker', `wait for another command that is connecting to ${host.target.machine}`)
    const sharedTransport = await host.attempt?.catch((error: unknown) => {
      // The other command could not prompt, or its user did not answer; this command can still prompt.
      const mightSucceedHere = error instanceof UserError && error.kind === 'credentials'
      if (!mightSucceedHere || caller.prompt === undefined) throw error
      return undefined
    })
    return sharedTransport ?? linkOf(host) ?? (await attempt(host, caller))
  }

  /** Removes one user of a connection. A connection without users is closed after a while. */
  function release(key: string, host: Host): void {
    host.uses -= 1
    if (host.uses > 0) return
    const closeIdle = () => {
      hosts.delete(key)
      void host.link?.close().then(onClosed)
    }
    host.idle = setTimeout(closeIdle, idleMs).unref()
  }

  /**
   * Finds or creates the connection state at `key`. If `forSession` is set and that connection has no free session,
   * uses the next connection to the same host.
   */
  function find(key: string, target: BrokerTarget, forSession: boolean): [string, Host] {
    const host = hosts.get(key) ?? newHost(target)
    if (forSession && host.sessions >= sessionsPerConnection)
      return find(`${key}+`, target, forSession)
    hosts.set(key, host)
    return [key, host]
  }

  async function use(target: BrokerTarget, caller: Caller, forSession = false): Promise<Use> {
    const [key, host] = find(identityOf(target, caller.env), target, forSession)
    clearTimeout(host.idle)
    host.uses += 1
    if (forSession) host.sessions += 1
    let isReleased = false
    const releaseOnce = () => {
      if (isReleased) return
      isReleased = true
      if (forSession) host.sessions -= 1
      release(key, host)
    }
    try {
      return { transport: await linkTo(host, caller), release: releaseOnce }
    } catch (error) {
      releaseOnce()
      throw error
    }
  }

  return {
    use,
    count: () => [...hosts.values()].filter(({ link, attempts }) => link || attempts > 0).length,
    isConnected: (target, env) => hosts.get(identityOf(target, env))?.link !== undefined,
    status: () =>
      [...hosts.values()].map(({ target, link, attempts, uses }) => ({
        machine: target.machine,
        user: target.user,
        address: target.address,
        port: target.port,
        state: link
          ? ('connected' as const)
          : attempts > 0
            ? ('connecting' as const)
            : ('closed' as const),
        uses,
      })),
    async [Symbol.asyncDispose]() {
      for (const host of hosts.values()) clearTimeout(host.idle)
      const links = [...hosts.values()].flatMap(({ link }) => link ?? [])
      await Promise.all(links.map((link) => link.close()))
    },
  }
}

const linkOf = ({ link }: Host): Transport | undefined => link?.transport

const newHost = (target: BrokerTarget): Host => ({
  target,
  link: undefined,
  attempt: undefined,
  attempts: 0,
  uses: 0,
  sessions: 0,
  failures: 0,
  failedAt: 0,
  idle: undefined,
})
