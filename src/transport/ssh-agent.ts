import { callbackify } from 'node:util'
import ssh2, {
  type IdentityCallback,
  type ParsedKey,
  type SignCallback,
  type SigningRequestOptions,
} from 'ssh2'

/** Signs `data`; the hash is told for RSA keys alone (RFC 8332). */
export type Sign = (data: Buffer, hash: string | undefined) => Promise<Buffer>

/** One key that is not at hand as such: its signatures come from elsewhere, later. */
export class KeyHolder extends ssh2.BaseAgent<ParsedKey> {
  readonly #key: ParsedKey
  readonly #sign: Sign

  constructor(key: ParsedKey, sign: Sign) {
    super()
    this.#key = key
    this.#sign = sign
  }

  override getIdentities(done: IdentityCallback<ParsedKey>): void {
    done(undefined, [this.#key])
  }

  override sign(
    _key: unknown,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    done: SignCallback = options as SignCallback,
  ): void {
    const hash = typeof options === 'function' ? undefined : options.hash
    const answer = callbackify(() => this.#sign(data, hash))
    answer(done)
  }
}

/** A key that the agent holds. */
export interface AgentKey {
  readonly key: ParsedKey
  readonly sign: Sign
}

/** The keys of the agent at `socket` (SSH_AUTH_SOCK). Rejects when nothing answers there. */
export async function readAgent(socket: string): Promise<readonly AgentKey[]> {
  const agent = ssh2.createAgent(socket)
  const keys = await new Promise<ParsedKey[]>((resolve, reject) => {
    agent.getIdentities((error, found) => {
      if (error) reject(error)
      else resolve((found ?? []) as ParsedKey[])
    })
  })
  return keys.map((key) => ({
    key,
    sign: (data, hash) =>
      new Promise((resolve, reject) => {
        const options = (hash === undefined ? {} : { hash }) as SigningRequestOptions
        agent.sign(key, data, options, (error, signature) => {
          if (signature) resolve(signature)
          else reject(error ?? new Error('the agent gave no signature'))
        })
      }),
  }))
}
