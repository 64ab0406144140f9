import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
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

/** Who asks for a connection. */
interface Caller {
  readonly env: Login['env']
  /** Reaches the person at the caller's terminal. */
  readonly prompt: Prompt | undefined
}

/** A connection that is used. It stays at least until it is released. */
interface Use {
  readonly transport: Transport
  readonly release: () => void
}

/** The hosts that connections are kept to. */
export interface Hosts extends AsyncDisposable {
  /**
   * The connection to a host, made when there is none. Rejects as `connectSsh` does. One `forSession` is
   * another one where the first carries as many sessions already as one connection may.
   */
  use(target: BrokerTarget, caller: Caller, forSession?: boolean): Promise<Use>
  /** Whether there is a connection to a host already. */
  isConnected(target: BrokerTarget, env: Login['env']): boolean
  status(): HostStatus[]
  /** How many connections are up or on their way. */
  count(): number
}

export interface HostsOptions {
  readonly connect: (target: SshTarget, options: SshOptions) => Promise<Transport>
  /** How long a connection that nobody uses is kept. */
  readonly idleMs: number
  /** A connection was closed. */
  readonly onClosed: () => void
}

/** sshd's MaxSessions is 10, and each connection of ssh.ts opens no more than this. */
const sessionsOnOne = 8

/** How long to wait, after so many failures in a row, before a host is tried again. */
const pauseMs = (failures: number): number =>
  failures < 2 ? 0 : Math.min(100 * 2 ** (failures - 2), 2_000)

/** A connection that is up. */
interface Link {
  readonly transport: Transport
  /** Closes it, and lets go of the jump host below it. */
  readonly close: () => Promise<void>
}

/** One host as one login sees it. */
interface Host {
  readonly target: BrokerTarget
  link: Link | undefined
  /** An attempt to connect that others may wait for, until it asks a person. */
  attempt: Promise<Transport | undefined> | undefined
  attempts: number
  uses: number
  sessions: number
  failures: number
  failedAt: number
  idle: NodeJS.Timeout | undefined
}

/** All that tells one connection from another: two users' agents, for instance, are never mixed. */
export const identityOf = (target: BrokerTarget, { SSH_AUTH_SOCK, HOME }: Login['env']): string =>
  JSON.stringify([target, SSH_AUTH_SOCK, HOME])

/** Keeps one connection to each host that is asked for. */
export function openHosts({ connect, idleMs, onClosed }: HostsOptions): Hosts {
  const hosts = new Map<string, Host>()
  const enter = createHandshakeLimiter(handshakesAtOnce)

  async function connectOnce(host: Host, caller: Caller): Promise<Transport> {
    const { target } = host
    await sleep(Math.max(0, host.failedAt + pauseMs(host.failures) - performance.now()))
    const via = target.via && (await use(target.via, caller))
    trace('ssh', `connect to ${target.machine} (${target.user}@${target.address}:${target.port})`)
    const leave = await enter(target.via ? `via ${limiterKey(target.via)}` : limiterKey(target))
    try {
      const transport = await connect({ ...target, via: via?.transport }, caller)
      host.failures = 0
      return keep(host, transport, () => via?.release())
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

  /** Makes a new connection that of its host, unless another attempt was faster. */
  function keep(host: Host, transport: Transport, ended: () => void): Transport {
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
   * Connects, for whoever else wants to wait for it. Nobody does once a person is asked, who may never answer:
   * they make attempts of their own.
   */
  function attempt(host: Host, caller: Caller): Promise<Transport> {
    const { prompt } = caller
    const asks = new AbortController()
    const asked = once(asks.signal, 'abort').then(() => undefined)
    const asking: Prompt | undefined =
      prompt &&
      ((question) => {
        asks.abort()
        if (host.attempt === shared) host.attempt = undefined
        return prompt(question)
      })
    host.attempts += 1
    const attempted = connectOnce(host, { ...caller, prompt: asking }).finally(() => {
      host.attempts -= 1
      if (host.attempt === shared) host.attempt = undefined
    })
    const shared = Promise.race([attempted, asked])
    shared.catch(() => {}) // told to whoever made the attempt
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
      trace('broker', `wait for another command that connects to ${host.target.machine}`)
    const others = await host.attempt?.catch((error: unknown) => {
      // The other one could ask nobody, or nobody answered: this caller has not had its turn.
      const mayDiffer = error instanceof UserError && error.kind === 'credentials'
      if (!mayDiffer || caller.prompt === undefined) throw error
      return undefined
    })
    return others ?? linkOf(host) ?? (await attempt(host, caller))
  }

  /** One user less. Without any, the connection is closed after a while. */
  function release(key: string, host: Host): void {
    host.uses -= 1
    if (host.uses > 0) return
    const rest = () => {
      hosts.delete(key)
      void host.link?.close().then(onClosed)
    }
    host.idle = setTimeout(rest, idleMs).unref()
  }

  /** The host under `key`, or, where that is full of sessions, the next one like it. */
  function find(key: string, target: BrokerTarget, forSession: boolean): [string, Host] {
    const host = hosts.get(key) ?? newHost(target)
    if (forSession && host.sessions >= sessionsOnOne) return find(`${key}+`, target, forSession)
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
