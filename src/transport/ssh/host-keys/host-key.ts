import { createHash } from 'node:crypto'

/** The type that an SSH key's wire form begins with (RFC 4253 6.6). */
const typeOf = (blob: Buffer): string | undefined =>
  blob.length > 4 ? blob.toString('latin1', 4, 4 + blob.readUInt32BE(0)) : undefined

/** Writes a key's wire form as OpenSSH does, without comment: `ssh-ed25519 AAAA…`. */
export const formatPublicKey = (blob: Buffer): string =>
  `${typeOf(blob) ?? 'unknown'} ${blob.toString('base64')}`

/**
 * Reads an OpenSSH public key, with or without a comment, and gives it back as `TYPE BASE64`.
 * Undefined when it is none, or when its two types differ.
 */
export function parsePublicKey(text: string): string | undefined {
  const [type, base64 = ''] = text.trim().split(/\s+/)
  const blob = Buffer.from(base64, 'base64')
  return type !== undefined && type === typeOf(blob) ? formatPublicKey(blob) : undefined
}

/** Begins a pinned host key that is a certificate authority (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export const authorityMark = '@cert-authority '

/** The wire form of a key written as `TYPE BASE64`. */
const blobOf = (publicKey: string): Buffer => Buffer.from(publicKey.split(' ')[1] ?? '', 'base64')

/** `SHA256:…` of a key written as `TYPE BASE64`, as `ssh-keygen -l` prints it. */
export const fingerprint = (publicKey: string): string =>
  `SHA256:${createHash('sha256').update(blobOf(publicKey)).digest('base64').replace(/=+$/, '')}`
