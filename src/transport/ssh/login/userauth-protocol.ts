import { callbackify } from 'node:util'
import ssh2, { type Client, type ParsedKey } from 'ssh2'
import type { PublicKey, Sign, Offer } from './key.ts'
import { protocolOf, serverReleaseOf } from '../ssh2-internals.ts'
import { WireReader, wireString } from '../wire-format.ts'

/** What the server said last of a login. */
interface LoginProgress {
  /** The methods that can go on; undefined before the first answer. */
  readonly left: readonly string[] | undefined
  /** The last attempt was right, and the server wants another one beside. */
  readonly partial: boolean
}

/** The login of a connection under way. */
export interface UserAuth {
  readonly progress: () => LoginProgress
  /** Signature algorithms that the server has told to take (RFC 8308). */
  readonly signatureAlgorithms: () => readonly string[]
  /** Sends the request that ssh2 had signed (RFC 4252 7), with the whole signature. */
  readonly sendSigned: (signed: Buffer, signature: Buffer) => void
}

/** OpenSSH 7.4 takes RSA keys with SHA-2 and does not tell. */
const isSilentOpenSsh = (client: Client): boolean =>
  serverReleaseOf(client)?.startsWith('OpenSSH_7.4') === true
const silentAlgorithms = ['rsa-sha2-512', 'rsa-sha2-256']

/** Where the content of a packet begins (RFC 4253 6). */
const packetHead = 5

/** Follows the login of a client that has just been told to connect. */
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
      // What is signed is the session's id and then the request itself.
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

/** ssh2 tells a key by a property that only its own have. */
const template = ssh2.utils.parseKey(
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAGIiOy0XPiAAAz8HfBHYxjcDyqlt8KFHGaJJjEUOhTM',
) as ParsedKey

/** Any key or certificate, as ssh2 asks a server whether it would take it. */
const asParsedKey = ({ blob }: PublicKey, { offered }: Offer): ParsedKey =>
  Object.create(template, {
    type: { value: offered },
    getPublicSSH: { value: () => blob },
  }) as ParsedKey

/** Whether ssh2 can send a signature by itself: it has no place for another name than the key's, nor for more fields. */
const isPlain = ({ offered, signature }: Offer): boolean =>
  offered === signature && !offered.startsWith('sk-')

/** Offers one key, whose signature comes from elsewhere, later. */
export class OneKeyAgent extends ssh2.BaseAgent<ParsedKey> {
  readonly #key: ParsedKey
  readonly #offer: Offer
  readonly #sign: Sign
  readonly #auth: UserAuth
  readonly #failed: (error: unknown) => void

  /** `failed` is told why there is no signature; the next key is tried then. */
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
