import { createHash, createPrivateKey } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import ssh2, { type ParsedKey } from 'ssh2'
import { codeOf } from '../../../errors.ts'
import {
  type PrivateKey,
  type PublicKey,
  certifiedKey,
  isCertificate,
  privateKeyFrom,
  readPublicKey,
} from './key.ts'
import { fingerprint, formatPublicKey } from '../host-keys/host-key.ts'
import { WireReader } from '../wire-format.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
import { ignored } from '../../../os/trace.ts'

/** The content of a key file. */
export type KeyFile =
  /** A private key, ready to sign. */
  | { readonly private: PrivateKey }
  /**
   * Only the public key: the file is a `.pub` file, or the private key is encrypted and must be decrypted with
   * `unlock`.
   */
  | {
      readonly public: PublicKey
      /** Returns undefined if the passphrase is wrong. */
      readonly unlock?: (passphrase: string) => PrivateKey | undefined
    }
  | {
      /** Why the key cannot be used, for a message. */
      readonly unusable: string
      /** How to make the key usable, for a hint. */
      readonly remedy?: string
    }

/** Whether a private key is in PKCS#8 format (RFC 5958), which Node.js can read and ssh2 cannot. */
const isPkcs8 = (text: string): boolean => /^-----BEGIN (?:ENCRYPTED )?PRIVATE KEY-----/.test(text)
const isEncryptedPkcs8 = (text: string): boolean => text.startsWith('-----BEGIN ENCRYPTED')
const isPrivate = (text: string): boolean =>
  /^-----BEGIN [A-Z ]*PRIVATE KEY-----|^PuTTY-User-Key-File/.test(text)

/** Parses a private key. Returns the error if that fails, and `locked` if a passphrase is required. */
function parsePrivate(text: string, passphrase?: string): PrivateKey | 'locked' | Error {
  try {
    if (isPkcs8(text)) {
      if (isEncryptedPkcs8(text) && passphrase === undefined) return 'locked'
      const key = createPrivateKey({ key: text, ...(passphrase !== undefined && { passphrase }) })
      return (
        privateKeyFrom(key) ??
        new Error(`SSH does not support keys of type ${key.asymmetricKeyType}`)
      )
    }
    const parsed = ssh2.utils.parseKey(text, passphrase) as ParsedKey | ParsedKey[] | Error
    const key = Array.isArray(parsed) ? (parsed[0] ?? new Error('the file is empty')) : parsed
    if (key instanceof Error) return /no passphrase given/.test(key.message) ? 'locked' : key
    return (
      privateKeyFrom(createPrivateKey(key.getPrivatePEM())) ??
      new Error(`fleet cannot sign with keys of type ${key.type}`)
    )
  } catch (error) {
    return error as Error
  }
}

/** Returns the public key that a private key in OpenSSH format contains unencrypted (OpenSSH's PROTOCOL.key). */
function readablePart(text: string): PublicKey | undefined {
  const raw = Buffer.from(text.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  const magic = 'openssh-key-v1\0'
  if (raw.toString('latin1', 0, magic.length) !== magic) return undefined
  const reader = new WireReader(raw.subarray(magic.length))
  for (const _ of ['cipher', 'kdf', 'kdf options']) reader.string()
  reader.number() // the number of keys: always one
  return readPublicKey(reader.string())
}

/** Parses a public key, or a certificate, in the format `TYPE BASE64 COMMENT`. */
function parsePublic(text: string): PublicKey | undefined {
  const [type, base64 = ''] = text.trim().split(/\s+/)
  try {
    const key = readPublicKey(Buffer.from(base64, 'base64'))
    return key.type === type ? key : undefined
  } catch {
    return undefined
  }
}

const readIfThere = (file: string): Promise<string | undefined> =>
  readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })

/** How long a decrypted key is kept for connections that are opened at the same time, in milliseconds. */
const keptMs = 30_000

/** Recently decrypted keys, keyed by the digest of the file and the passphrase; undefined for a wrong passphrase. */
const opened = new Map<string, PrivateKey | undefined>()

/**
 * Decrypts a private key. The result is kept for a while, because trying a passphrase takes a second and hundreds of
 * hosts may need the same key.
 */
function unlockOnce(text: string, passphrase: string): PrivateKey | undefined {
  const name = createHash('sha256').update(text).update('\0').update(passphrase).digest('base64')
  if (opened.has(name)) return opened.get(name)
  const parsed = parsePrivate(text, passphrase)
  const key = parsed === 'locked' || parsed instanceof Error ? undefined : parsed
  opened.set(name, key)
  setTimeout(() => opened.delete(name), keptMs).unref()
  return key
}

async function lockedKey(file: string, text: string): Promise<KeyFile> {
  const key = readablePart(text) ?? parsePublic((await readIfThere(`${file}.pub`)) ?? '')
  if (key === undefined || isCertificate(key)) {
    return {
      unusable: 'the key is encrypted and its .pub file is missing',
      remedy: `to create the .pub file: ssh-keygen -y -f ${shellQuote(file)} > ${shellQuote(`${file}.pub`)}`,
    }
  }
  return {
    public: key,
    unlock: (passphrase) => unlockOnce(text, passphrase),
  }
}

/** Explains why a private key cannot be read, depending on the kind of key. */
function explainUnreadable(file: string, text: string, { message }: Error): KeyFile {
  const kind = text.startsWith('PuTTY-User-Key-File-3')
    ? 'a version 3 PuTTY key'
    : text.startsWith('-----BEGIN DSA')
      ? 'a DSA key, which servers no longer accept'
      : undefined
  if (kind !== undefined) {
    const remedy = kind.includes('PuTTY')
      ? 'in PuTTYgen, export the key in OpenSSH format'
      : undefined
    return { unusable: kind, ...(remedy !== undefined && { remedy }) }
  }
  const type = /-----BEGIN OPENSSH/.test(text) ? readablePart(text)?.type : undefined
  if (type?.startsWith('sk-') === true) {
    return {
      unusable: 'the key is stored on a security key and can be used only through an agent',
      remedy: `to add the key to the agent: ssh-add ${shellQuote(file)}`,
    }
  }
  return { unusable: `not a supported private key (${message})` }
}

/** Reads a file. The result includes the file's mode as `openMode` if other users have access to the file. */
async function readPrivately(file: string): Promise<{ text: string; openMode?: number }> {
  const handle = await open(file, 'r')
  try {
    const { mode } = await handle.stat()
    const text = await handle.readFile('utf8')
    const isOpen = process.platform !== 'win32' && (mode & 0o077) !== 0
    return { text, ...(isOpen && { openMode: mode & 0o7777 }) }
  } finally {
    await handle.close()
  }
}

/** Reads a private or public key file. Resolves to undefined if the file does not exist. */
export async function readKeyFile(file: string): Promise<KeyFile | undefined> {
  try {
    const { text: content, openMode } = await readPrivately(file)
    const text = content.trim()
    if (!isPrivate(text)) {
      const key = parsePublic(text)
      return key === undefined ? { unusable: 'not a supported key' } : { public: key }
    }
    if (openMode !== undefined) {
      const mode = openMode.toString(8).padStart(4, '0')
      return {
        unusable: `the permissions ${mode} are too open: others can read this private key`,
        remedy: `to restrict access: chmod 600 ${shellQuote(file)}`,
      }
    }
    const key = parsePrivate(text)
    if (key === 'locked') return await lockedKey(file, text)
    return key instanceof Error ? explainUnreadable(file, text, key) : { private: key }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    return {
      unusable: codeOf(error) === 'EACCES' ? 'permission denied' : 'the file cannot be read',
    }
  }
}

/** Reads the certificate in a file. Resolves to undefined if there is none. */
export async function readCertificate(file: string): Promise<PublicKey | undefined> {
  const key = parsePublic(
    (await readIfThere(file).catch(ignored('ssh', 'read a certificate'))) ?? '',
  )
  return key !== undefined && isCertificate(key) ? key : undefined
}

/**
 * Resolves to the fingerprint, `SHA256:…`, of the key in a file. The key may be private or public, and encrypted or
 * not. Resolves to undefined if there is no readable key.
 */
export async function fingerprintKeyFile(file: string): Promise<string | undefined> {
  const content = await readKeyFile(file)
  if (content === undefined || 'unusable' in content) return undefined
  const key = 'private' in content ? content.private : content.public
  return fingerprint(formatPublicKey(certifiedKey(key).blob))
}
