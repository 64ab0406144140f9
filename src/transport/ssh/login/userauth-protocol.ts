import { callbackify } from 'node:util'
import ssh2, { type Client, type ParsedKey } from 'ssh2'
import type { PublicKey, Sign, Offer } from './key.ts'
import { protocolOf, serverReleaseOf } from '../ssh2-internals.ts'
import { WireReader, wireString } from '../wire-format.ts'

/** The state of a login, according to the server's last answer. */
interface LoginProgress {
  /** The methods that can continue the login; undefined before the first answer. */
  readonly left: readonly string[] | undefined
  /** Whether the last attempt succeeded, but the server requires another method too. */
  readonly partial: boolean
}

/** The login in progress on a connection. */
export interface UserAuth {
  readonly progress: () => LoginProgress
  /** Returns the signature algorithms that the server has announced (RFC 8308). */
  readonly signatureAlgorithms: () => readonly string[]
  /** Sends the request that was signed (RFC 4252 7), with the complete signature. */
  readonly sendSigned: (signed: Buffer, signature: Buffer) => void
}

/** Whether the server is OpenSSH 7.4, which accepts RSA keys with SHA-2 but does not announce it. */
const isSilentOpenSsh = (client: Client): boolean =>
  serverReleaseOf(client)?.startsWith('OpenSSH_7.4') === true
const silentAlgorithms = ['rsa-sha2-512', 'rsa-sha2-256']

/** The offset of the payload in a packet, in bytes (RFC 4253 6). */
const packetHead = 5

/** Tracks the login of a client whose `connect` has just been called. */
export function followUserAuth(client: Client): UserAuth {
  const protocol = protocolOf(client)
  const { _handlers: handlers } = protocol
  const { EXT_INFO, USERAUTH_FAILURE } = handlers
  let progress: LoginProgress = { left: undefined, partial: false }
  let algorithms: readonly string[] | undefined
  handlers.EXT_INFO = (_, extensions) => {
    algorithms ??= extensions.find(({ name }) => name === 'server-sig-algs')?.algs
    EXT_INFO(_, extensions)
  }
  handlers.USERAUTH_FAILURE = (_, methods, partial) => {
    progress = { left: methods, partial }
    USERAUTH_FAILURE(_, methods, partial)
  }
  return {
    progress: () => progress,
    signatureAlgorithms: () => algorithms ?? (isSilentOpenSsh(client) ? silentAlgorithms : []),
    sendSigned(signed, signature) {
      // The signed data is the session ID, followed by the request itself.
      const content = Buffer.concat([
        signed.subarray(4 + signed.readUInt32BE(0)),
        wireString(signature),
      ])
      const { _cipher: cipher, _authsQueue: queue } = protocol
      const packet = cipher.allocPacket(content.length)
      packet.set(content, packetHead)
      queue.push('publickey')
      cipher.encrypt(packet)
    },
  }
}

/** An arbitrary ssh2 key to copy: ssh2 recognizes its own keys by a property that only they have. */
const template = ssh2.utils.parseKey(
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAGIiOy0XPiAAAz8HfBHYxjcDyqlt8KFHGaJJjEUOhTM',
) as ParsedKey

/** Converts a key or certificate to a key that ssh2 can offer to a server. */
const asParsedKey = ({ blob }: PublicKey, { offered }: Offer): ParsedKey =>
  Object.create(template, {
    type: { value: offered },
    getPublicSSH: { value: () => blob },
  }) as ParsedKey

/**
 * Whether ssh2 can send a signature itself. It cannot if the signature needs a name that differs from the key's, or
 * additional fields.
 */
const isPlain = ({ offered, signature }: Offer): boolean =>
  offered === signature && !offered.startsWith('sk-')

/** An agent with one key, whose signatures are made by a function. */
export class OneKeyAgent extends ssh2.BaseAgent<ParsedKey> {
  readonly #key: ParsedKey
  readonly #offer: Offer
  readonly #sign: Sign
  readonly #auth: UserAuth
  readonly #failed: (error: unknown) => void

  /** `failed` is called with the reason if there is no signature; the next key is then tried. */
  constructor(
    key: PublicKey,
    {
      offer,
      sign,
      auth,
      failed,
    }: { offer: Offer; sign: Sign; auth: UserAuth; failed: (error: unknown) => void },
  ) {
    super()
    this.#key = asParsedKey(key, offer)
    this.#offer = offer
    this.#sign = sign
    this.#auth = auth
    this.#failed = failed
  }

  override getIdentities(done: (error: undefined, keys: ParsedKey[]) => void): void {
    done(undefined, [this.#key])
  }

  override sign(
    _key: unknown,
    data: Buffer,
    options: unknown,
    done: (error?: Error, signature?: Buffer) => void = options as typeof done,
  ): void {
    const { signature: algorithm } = this.#offer
    const send = async (): Promise<Buffer | undefined> => {
      const signature = await this.#sign(data, algorithm)
      if (!isPlain(this.#offer)) {
        this.#auth.sendSigned(data, signature)
        return undefined
      }
      const reader = new WireReader(signature)
      reader.string() // the algorithm's name, which ssh2 writes itself
      return reader.string()
    }
    callbackify(send)((error, signature) => {
      if (error) this.#failed(error)
      if (error || signature) done(error ?? undefined, signature)
    })
  }
}
