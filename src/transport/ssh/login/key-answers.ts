/** How many connections one login may use to offer keys. Each connection may count as a failed login on the host. */
const mostConnections = 8

/** A key that is offered to a server. */
interface OfferedKey {
  /** The key in wire format, as base64. */
  readonly id: string
  /** The name of the key in messages. */
  readonly name: string
  /** The fingerprint, as `SHA256:…`. */
  readonly fingerprint: string
}

/**
 * The answers of a server to the offered keys, across all connections of one login: servers close the connection after
 * a few rejected keys (MaxAuthTries in sshd_config(5)), and the next connection then continues with the remaining keys.
 */
export class KeyAnswers {
  readonly #rejected = new Set<string>()
  readonly #unusable = new Map<string, string>()
  #pending: OfferedKey | undefined
  #isSigned = false
  #connections = 0
  #rejectedBefore = 0

  /** Must be called before each connection is opened. */
  startConnection(): void {
    this.#connections += 1
    this.#rejectedBefore = this.#rejected.size
    this.#pending = undefined
  }

  isRejected(id: string): boolean {
    return this.#rejected.has(id)
  }

  /** Returns why this computer could not sign with a key; undefined if there was no such failure. */
  whyUnusable(id: string): string | undefined {
    return this.#unusable.get(id)
  }

  offer(key: OfferedKey): void {
    this.#pending = key
    this.#isSigned = false
  }

  /** Records that the server accepts the offered key and asks for a signature. */
  accepted(): void {
    this.#isSigned = true
  }

  /** Records the server's answer to the offered key. `unusable` is the reason if this computer could not sign. */
  answered(rejected: boolean, unusable?: string): void {
    if (this.#pending === undefined) return
    const { id } = this.#pending
    if (unusable !== undefined) this.#unusable.set(id, unusable)
    else if (rejected) this.#rejected.add(id)
    this.#pending = undefined
  }

  /** The key that the server accepted last; undefined if the server has asked for another attempt since. */
  get acceptedKey(): OfferedKey | undefined {
    return this.#isSigned ? this.#pending : undefined
  }

  /**
   * Whether another connection can continue with other keys after the server has closed this connection. `tooMany` is
   * true if the server reported too many failures; it has then also rejected the last key.
   */
  canContinue(tooMany: boolean): boolean {
    if (tooMany && !this.#isSigned) this.answered(true)
    return this.#rejected.size > this.#rejectedBefore && this.#connections < mostConnections
  }
}
