/** How many connections one login may use to offer keys. Each may count as a failed login on the host. */
const mostConnections = 8

/** A key that is offered to a server. */
interface OfferedKey {
  /** Its wire form in base64. */
  readonly id: string
  /** What messages call it. */
  readonly name: string
  /** `SHA256:…` */
  readonly fingerprint: string
}

/**
 * What a server has answered to keys, over all connections of one login: servers close the connection after a few rejected
 * keys (MaxAuthTries in sshd_config(5)), and the next connection then continues with the keys that are left.
 */
export class KeyAnswers {
  readonly #rejected = new Set<string>()
  readonly #unusable = new Map<string, string>()
  #pending: OfferedKey | undefined
  #isSigned = false
  #connections = 0
  #rejectedBefore = 0

  /** Call it before each connection. */
  startConnection(): void {
    this.#connections += 1
    this.#rejectedBefore = this.#rejected.size
    this.#pending = undefined
  }

  isRejected(id: string): boolean {
    return this.#rejected.has(id)
  }

  /** Why this computer could not sign with a key. */
  whyUnusable(id: string): string | undefined {
    return this.#unusable.get(id)
  }

  offer(key: OfferedKey): void {
    this.#pending = key
    this.#isSigned = false
  }

  /** The server accepts the key that was offered, and asks for a signature. */
  accepted(): void {
    this.#isSigned = true
  }

  /** The server has answered the key that was offered: `rejected`, with the reason if this computer could not sign. */
  answered(rejected: boolean, unusable?: string): void {
    if (this.#pending === undefined) return
    const { id } = this.#pending
    if (unusable !== undefined) this.#unusable.set(id, unusable)
    else if (rejected) this.#rejected.add(id)
    this.#pending = undefined
  }

  /** The key that the server accepted last, without any answer after that. */
  get acceptedKey(): OfferedKey | undefined {
    return this.#isSigned ? this.#pending : undefined
  }

  /**
   * Whether another connection can go on with other keys after the server closed this one. `tooMany`: it said that there were
   * too many failures, which also rejects the last key.
   */
  canContinue(tooMany: boolean): boolean {
    if (tooMany && !this.#isSigned) this.answered(true)
    return this.#rejected.size > this.#rejectedBefore && this.#connections < mostConnections
  }
}
