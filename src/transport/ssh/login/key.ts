import { type KeyObject, sign } from 'node:crypto'
import { WireReader, wireInteger, wireString } from '../wire-format.ts'

/** A public key, or a certificate for one, to offer to a server. */
export interface PublicKey {
  /** The type, such as `ssh-ed25519`, or `ssh-ed25519-cert-v01@openssh.com` for a certificate. */
  readonly type: string
  /** The key in wire format (RFC 4253 6.6). */
  readonly blob: Buffer
}

/**
 * Signs `data` with an algorithm such as `rsa-sha2-512`. Resolves to the signature in wire format, which begins with
 * the name of the algorithm.
 */
export type Sign = (data: Buffer, algorithm: string) => Promise<Buffer>

/** A key that is ready to sign. */
export interface PrivateKey extends PublicKey {
  readonly sign: Sign
}

const certificateSuffix = '-cert-v01@openssh.com'

/** Whether a key is a certificate (OpenSSH's PROTOCOL.certkeys). */
export const isCertificate = ({ type }: PublicKey): boolean => type.endsWith(certificateSuffix)

/** Parses a key in wire format. Throws a RangeError if the data is too short. */
export const readPublicKey = (blob: Buffer): PublicKey => ({
  type: new WireReader(blob).text(),
  blob,
})

/** The number of fields in a certificate that belong to its key, keyed by the type of the key (default: 2). */
const keyFields: Readonly<Record<string, number>> = {
  'ssh-rsa': 2,
  'ssh-ed25519': 1,
  'sk-ssh-ed25519@openssh.com': 2,
  'sk-ecdsa-sha2-nistp256@openssh.com': 3,
}

/** The latest time that a Date can hold (ECMA-262 21.4.1.1), in milliseconds since 1970. */
const maxDate = 8.64e15

/**
 * The validity period of a certificate, in milliseconds since 1970. If there is no limit, `from` is 0 or `to` is
 * Infinity.
 */
interface Validity {
  readonly from: number
  readonly to: number
}

const inMs = (seconds: number): number => (seconds * 1000 > maxDate ? Infinity : seconds * 1000)

/**
 * Reads the validity period of a certificate (OpenSSH's PROTOCOL.certkeys). Returns undefined for keys, and for
 * certificates that cannot be read.
 */
export function validityOf(key: PublicKey): Validity | undefined {
  if (!isCertificate(key)) return undefined
  const reader = new WireReader(key.blob)
  const long = () => reader.number() * 2 ** 32 + reader.number()
  try {
    const ownFields = keyFields[certifiedKey(key).type] ?? 2
    for (let field = 0; field < ownFields + 2; field += 1) reader.string() // the type, the nonce and the key
    long() // the serial number
    reader.number() // the type: a user or a host certificate
    reader.string() // the key ID
    reader.string() // the principals
    return { from: inMs(long()), to: inMs(long()) }
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** Returns the key that a certificate certifies; returns any other key unchanged. */
export function certifiedKey(key: PublicKey): PublicKey {
  if (!isCertificate(key)) return key
  const base = key.type.slice(0, -certificateSuffix.length)
  const type = base.startsWith('sk-') ? `${base}@openssh.com` : base
  const reader = new WireReader(key.blob)
  reader.string() // the type
  reader.string() // the nonce
  const fields = Array.from({ length: keyFields[type] ?? 2 }, () => wireString(reader.string()))
  return { type, blob: Buffer.concat([wireString(type), ...fields]) }
}

/** The signature algorithms for RSA keys, best first: only SHA-2 (RFC 8332). */
const rsaAlgorithms = ['rsa-sha2-512', 'rsa-sha2-256'] as const

/** The algorithm names for offering a key or certificate, and for its signatures. */
export interface Offer {
  readonly offered: string
  readonly signature: string
}

/**
 * Chooses the algorithms for a key. `server` lists the algorithms that the server has announced. Returns undefined for
 * an RSA key if the server has not announced SHA-2: nothing is signed with SHA-1.
 */
export function chooseAlgorithm(key: PublicKey, server: readonly string[]): Offer | undefined {
  const { type } = certifiedKey(key)
  if (type !== 'ssh-rsa') return { offered: key.type, signature: type }
  const signature = rsaAlgorithms.find((name) => server.includes(name))
  if (signature === undefined) return undefined
  return { offered: isCertificate(key) ? signature + certificateSuffix : signature, signature }
}

const hashes: Readonly<Record<string, string>> = {
  'rsa-sha2-256': 'sha256',
  'rsa-sha2-512': 'sha512',
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
}

const curves: Readonly<Record<string, string>> = {
  'P-256': 'nistp256',
  'P-384': 'nistp384',
  'P-521': 'nistp521',
}

const bytes = (text: string): Buffer => Buffer.from(text, 'base64url')

/** Returns the public part of a key in wire format; undefined for key types that SSH does not support. */
function publicPart(key: KeyObject): PublicKey | undefined {
  const { kty, crv = '', x = '', y = '', n = '', e = '' } = key.export({ format: 'jwk' })
  if (kty === 'RSA') {
    const blob = [wireString('ssh-rsa'), wireInteger(bytes(e)), wireInteger(bytes(n))]
    return { type: 'ssh-rsa', blob: Buffer.concat(blob) }
  }
  if (kty === 'OKP' && crv === 'Ed25519') {
    return {
      type: 'ssh-ed25519',
      blob: Buffer.concat([wireString('ssh-ed25519'), wireString(bytes(x))]),
    }
  }
  const curve = curves[crv]
  if (kty !== 'EC' || curve === undefined) return undefined
  const type = `ecdsa-sha2-${curve}`
  const point = Buffer.concat([Buffer.from([4]), bytes(x), bytes(y)])
  return { type, blob: Buffer.concat([wireString(type), wireString(curve), wireString(point)]) }
}

/** Converts a Node.js private key to a key for SSH. Returns undefined for key types that SSH does not support. */
export function privateKeyFrom(key: KeyObject): PrivateKey | undefined {
  const visible = publicPart(key)
  return (
    visible && {
      ...visible,
      async sign(data, algorithm) {
        const raw = sign(hashes[algorithm], data, { key, dsaEncoding: 'ieee-p1363' })
        const half = raw.length / 2
        const signature = algorithm.startsWith('ecdsa-')
          ? Buffer.concat([wireInteger(raw.subarray(0, half)), wireInteger(raw.subarray(half))])
          : raw
        return Buffer.concat([wireString(algorithm), wireString(signature)])
      },
    }
  )
}
