import type { Duplex } from 'node:stream'
import ssh2, {
  type Algorithms,
  type AnyAuthMethod,
  type Client,
  type ServerHostKeyAlgorithm,
} from 'ssh2'
import { formatPublicKey } from './host-keys/host-key.ts'
import type { Attempts } from './login/login-attempts.ts'
import {
  ClosedEarly,
  EndlessBanner,
  type Failure,
  NotSsh,
  type Stage,
} from './connection-errors.ts'
import type { SshAlgorithms, SshSettings } from './config/settings.ts'
import { UserError } from '../../errors.ts'
import { protocolOf, serverReleaseOf } from './ssh2-internals.ts'
import { keepalive } from './keepalive.ts'
import { type UserAuth, followUserAuth } from './login/userauth-protocol.ts'

/**
 * The default algorithms, best first: the client's order decides (RFC 4253 7.1). Group exchange comes last because it
 * takes ssh2 seconds.
 */
const algorithms = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group-exchange-sha256',
  ],
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
  ],
  hmac: [
    'hmac-sha2-256-etm@openssh.com',
    'hmac-sha2-512-etm@openssh.com',
    'hmac-sha2-256',
    'hmac-sha2-512',
  ],
  compress: ['none'],
} satisfies Algorithms

/** Old algorithms, which are used only if the SSH configuration names them. */
const legacy = {
  kex: [
    'diffie-hellman-group14-sha1',
    'diffie-hellman-group-exchange-sha1',
    'diffie-hellman-group1-sha1',
  ],
  cipher: ['aes256-cbc', 'aes192-cbc', 'aes128-cbc', '3des-cbc'],
  hmac: ['hmac-sha1-etm@openssh.com', 'hmac-sha1', 'hmac-md5'],
} satisfies Algorithms

/**
 * Returns the algorithms that the configuration names and that fleet supports, in the order of the configuration.
 * Returns all of `known` if the configuration names none. Throws kind `unsupported` if fleet supports none of them.
 */
function choose<Name extends string>(
  kind: string,
  known: readonly Name[],
  named: readonly string[] | undefined,
): Name[] {
  if (named === undefined) return [...known]
  const chosen = named.flatMap((name) => known.filter((one) => one === name))
  if (chosen.length > 0) return chosen
  throw new UserError(
    'unsupported',
    `fleet supports none of the ${kind} in your SSH configuration: ${named.join(', ')}`,
    { hint: `add one of these algorithms: ${known.slice(0, 6).join(', ')}` },
  )
}

const withLegacy = <Name extends string>(
  named: readonly string[] | undefined,
  usual: readonly Name[],
  old: readonly Name[],
): readonly Name[] => (named === undefined ? usual : [...usual, ...old])

function algorithmsFor(
  { kex, cipher, hmac, hostKey }: SshAlgorithms,
  pinned: readonly string[],
): Algorithms {
  return {
    kex: choose('KexAlgorithms', withLegacy(kex, algorithms.kex, legacy.kex), kex),
    cipher: choose('Ciphers', withLegacy(cipher, algorithms.cipher, legacy.cipher), cipher),
    hmac: choose('MACs', withLegacy(hmac, algorithms.hmac, legacy.hmac), hmac),
    compress: algorithms.compress,
    serverHostKey: serverHostKey(pinned, hostKey),
  }
}

/** Host key types, best first. RSA signs with SHA-2 only (RFC 8332). */
const hostKeyAlgorithms: readonly (readonly [type: string, ...ServerHostKeyAlgorithm[]])[] = [
  ['ssh-ed25519', 'ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256'],
  ['ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp384'],
  ['ecdsa-sha2-nistp521', 'ecdsa-sha2-nistp521'],
  ['ssh-rsa', 'rsa-sha2-512', 'rsa-sha2-256'],
]

/**
 * Returns the host key algorithms, with the algorithms of the pinned keys first, so that a host with several keys
 * presents a pinned key.
 */
function serverHostKey(
  pinned: readonly string[],
  named: readonly string[] | undefined,
): ServerHostKeyAlgorithm[] {
  const isPinned = (type: string) => pinned.some((key) => key.startsWith(`${type} `))
  const known = hostKeyAlgorithms.filter(([type]) => isPinned(type))
  const others = hostKeyAlgorithms.filter(([type]) => !isPinned(type))
  const names = [...known, ...others].flatMap(([, ...algorithmNames]) => algorithmNames)
  if (named === undefined) return names
  const old: readonly ServerHostKeyAlgorithm[] = ['ssh-rsa']
  const allowed = [...names, ...old].filter((name) => named.includes(name))
  return allowed.length > 0 ? allowed : choose('HostKeyAlgorithms', names, named)
}

/** Internal: `verify` rejected the host's key. */
export class HostKeyRefused extends Error {
  readonly hostKey: string
  constructor(hostKey: string) {
    super('host key verification failed')
    this.hostKey = hostKey
  }
}

/** Internal: the server accepted none of the attempts. */
export class LoginRefused extends Error {}

/** The parameters of a handshake. `verify` has no default: ssh2 alone would accept any host key. */
export interface Handshake {
  readonly user: string
  /** The pinned host keys, whose types are preferred in the negotiation. */
  readonly pinned: readonly string[]
  /** Decides whether to accept the host's key (`TYPE BASE64`), before any login data is sent to the host. */
  readonly verify: (hostKey: string) => boolean
  /** Called when the host has sent its SSH version, and thus is an SSH server, even if a slow one. */
  readonly greeted?: () => void
  /** The attempts to log in, in order. */
  readonly logIn: (auth: UserAuth) => Attempts
  /** Called with the server's banner (RFC 4252 5.4). */
  readonly onBanner?: (text: string) => void
  readonly settings?: Pick<SshSettings, 'algorithms' | 'alive'> | undefined
  readonly signal: AbortSignal
}

/** A failed handshake, and the stage that it had reached. */
export class HandshakeError extends Error implements Failure {
  readonly stage: Stage
  readonly error: unknown
  /** The beginning of the text that the server sent instead of its version. */
  readonly printed: string
  /** The release of the server, such as `OpenSSH_9.2p1`, if it has sent its version. */
  readonly release: string | undefined
  constructor(
    stage: Stage,
    error: unknown,
    { printed = '', release }: { printed?: string; release?: string | undefined } = {},
  ) {
    super('the SSH handshake failed', { cause: error })
    this.stage = stage
    this.error = error
    this.printed = printed
    this.release = release
  }
}

/** OpenSSH's own limits for the text before a server's version: the number of lines, and of bytes in a line (kex.c). */
const [maxGreetingLines, maxLineLength] = [1_024, 8_192]
/** How much of the text before the version is kept for error messages, in bytes. */
const maxPrinted = 300
/** How much text a server may send during the login, in characters. Callers keep only the beginning. */
const maxBanner = 16 * 1024 * 1024

/** The text that a server has sent before its version. */
interface Greeting {
  /** Returns the beginning of the text, for messages. */
  readonly printed: () => string
}

/**
 * Passes the server's data to ssh2 starting with the version line (RFC 4253 4.2): ssh2 loses parts of a line that
 * arrives in several packets, and does not count lines across packets. If there is no version within the limits, the
 * client fails with {@link NotSsh}.
 */
function readGreeting(client: Client, onVersion: () => void): Greeting {
  const protocol = protocolOf(client)
  const { parse } = protocol
  let lines = 0
  let printed = Buffer.alloc(0)
  let line = Buffer.alloc(0)
  const text = () => Buffer.concat([printed, line]).toString('utf8', 0, maxPrinted)
  protocol.parse = (chunk, start, end) => {
    let rest = Buffer.concat([line, chunk.subarray(start, end)])
    for (;;) {
      const next = rest.indexOf('\n') + 1
      line = next === 0 ? rest : rest.subarray(0, next)
      if (line.length > maxLineLength || lines > maxGreetingLines || line.includes(0))
        throw new NotSsh(text())
      if (next === 0) return
      if (line.toString('latin1', 0, 4) === 'SSH-') break
      lines += 1
      if (printed.length < maxPrinted) printed = Buffer.concat([printed, line])
      rest = rest.subarray(next)
    }
    printed = line = Buffer.alloc(0)
    protocol.parse = parse
    onVersion()
    protocol.parse(rest, 0, rest.length)
  }
  return { printed: text }
}

/**
 * Opens an SSH connection over `stream` and logs in. On failure, destroys the stream and rejects with
 * {@link HandshakeError}.
 */
export function handshake(stream: Duplex, handshake: Handshake): Promise<Client> {
  const { user, pinned, verify, greeted, logIn, onBanner, settings = {}, signal } = handshake
  const client = new ssh2.Client()
  let stage: Stage = 'greeting'
  let bannerLength = 0
  return new Promise<Client>((resolve, reject) => {
    const fail = (error: unknown) => {
      signal.removeEventListener('abort', abort)
      const server = { printed: greeting.printed(), release: serverReleaseOf(client) }
      reject(new HandshakeError(stage, error, server))
      stream.destroy()
    }
    const abort = () => fail(signal.reason)
    let attempts: Attempts | undefined
    const tryNext = async (next: (method: AnyAuthMethod) => void) => {
      attempts ??= logIn(auth)
      const { done, value } = await attempts.next()
      if (done) fail(new LoginRefused())
      else next(value)
    }
    client
      .on('handshake', () => (stage = 'login'))
      .on('ready', () => {
        signal.removeEventListener('abort', abort)
        resolve(client)
      })
      .on('error', (error: Error & { level?: string }) => {
        if (error.level !== 'agent') fail(error) // one of the agent's keys failed; its other keys are still tried
      })
      .on('banner', (text: string) => {
        bannerLength += text.length
        if (bannerLength > maxBanner) fail(new EndlessBanner())
        else onBanner?.(text)
      })
      .on('close', () => fail(new ClosedEarly(greeting.printed())))
      .connect({
        sock: stream,
        username: user,
        algorithms: algorithmsFor(settings.algorithms ?? {}, pinned),
        hostVerifier: (blob: Buffer) => {
          const hostKey = formatPublicKey(blob)
          if (verify(hostKey)) return true
          fail(new HostKeyRefused(hostKey))
          return false
        },
        authHandler: (_left, _partial, next) => void tryNext(next).catch(fail),
        strictVendor: false, // servers other than OpenSSH can forward sockets too
        readyTimeout: 0, // `signal` sets the time limit
        ...keepalive(settings.alive),
      })
    const auth = followUserAuth(client)
    const greeting = readGreeting(client, () => {
      stage = 'agreeing'
      greeted?.()
    })
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}
