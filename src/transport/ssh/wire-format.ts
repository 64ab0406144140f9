/** Encodes a string as SSH sends it: its length, then its bytes (RFC 4251 5). */
export function wireString(content: Buffer | string): Buffer {
  const bytes = Buffer.from(content)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/**
 * Encodes a number, given as big-endian bytes, as SSH sends it: without leading zeros, and never as a negative number.
 */
export function wireInteger(bytes: Buffer): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0)
  const digits = start < 0 ? Buffer.alloc(0) : bytes.subarray(start)
  return wireString((digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), digits]) : digits)
}

/** Reads the fields of data in SSH's wire format, in order. Throws a RangeError if the data ends too early. */
export class WireReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  number(): number {
    const value = this.#bytes.readUInt32BE(this.#offset)
    this.#offset += 4
    return value
  }

  string(): Buffer {
    const length = this.number()
    const start = this.#offset
    if (start + length > this.#bytes.length) throw new RangeError('the string is truncated')
    this.#offset = start + length
    return this.#bytes.subarray(start, this.#offset)
  }

  text(): string {
    return this.string().toString('utf8')
  }
}
