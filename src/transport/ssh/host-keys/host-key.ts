import { createHash } from 'node:crypto'

/** Returns the type at the beginning of a key in wire format (RFC 4253 6.6). */
const typeOf = (blob: Buffer): string | undefined =>
  blob.length > 4 ? blob.toString('latin1', 4, 4 + blob.readUInt32BE(0)) : undefined

/** Converts a key in wire format to OpenSSH's text format, without a comment: `ssh-ed25519 AAAA…`. */
export const formatPublicKey = (blob: Buffer): string =>
  `${typeOf(blob) ?? 'unknown'} ${blob.toString('base64')}`

/**
 * Parses an OpenSSH public key, with or without a comment, and returns it as `TYPE BASE64`. Returns undefined if the
 * text is not a key, or if its type differs from the type in the encoded key.
 */
export function parsePublicKey(text: string): string | undefined {
  const [type, base64 = ''] = text.trim().split(/\s+/)
  const blob = Buffer.from(base64, 'base64')
  return type !== undefined && type === typeOf(blob) ? formatPublicKey(blob) : undefined
}

/** The prefix of a pinned host key that belongs to a certificate authority (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export const authorityMark = '@cert-authority '

/** Returns the wire format of a key written as `TYPE BASE64`. */
const blobOf = (publicKey: string): Buffer => Buffer.from(publicKey.split(' ')[1] ?? '', 'base64')

/** Returns the fingerprint, `SHA256:…`, of a key written as `TYPE BASE64`, as `ssh-keygen -l` prints it. */
export const fingerprint = (publicKey: string): string =>
  `SHA256:${createHash('sha256').update(blobOf(publicKey)).digest('base64').replace(/=+$/, '')}`
