import { readFile } from 'node:fs/promises'
import ssh2, { type ParsedKey } from 'ssh2'
import { codeOf } from '../errors.ts'

/** What a key file holds. */
export type KeyFile =
  /** A private key, ready to sign. */
  | { readonly private: ParsedKey }
  /** The public part alone: the file is a `.pub`, or `unlock` needs a passphrase. */
  | {
      readonly public: ParsedKey
      /** Undefined when the passphrase is wrong. */
      readonly unlock?: (passphrase: string) => ParsedKey | undefined
    }
  | { readonly unusable: string }

/** ssh2 says so in the message alone. */
const isLocked = (error: Error): boolean => /no passphrase given/.test(error.message)

function parse(data: Buffer | string, passphrase?: string): ParsedKey | Error {
  const parsed = ssh2.utils.parseKey(data, passphrase) as ParsedKey | ParsedKey[] | Error
  return Array.isArray(parsed) ? (parsed[0] ?? new Error('the file is empty')) : parsed
}

/** The public part that OpenSSH's own format leaves readable (OpenSSH's PROTOCOL.key). */
function publicPart(data: Buffer): Buffer | undefined {
  const body = data.toString('latin1').replaceAll(/-----[^-]+-----|\s/g, '')
  const raw = Buffer.from(body, 'base64')
  const magic = 'openssh-key-v1\0'
  if (raw.toString('latin1', 0, magic.length) !== magic) return undefined
  let offset = magic.length
  const next = () => {
    const start = offset + 4
    offset = start + raw.readUInt32BE(offset)
    return raw.subarray(start, offset)
  }
  for (const _ of ['cipher', 'kdf', 'kdf options']) next()
  offset += 4 // how many keys: always one
  return next()
}

const readIfThere = (file: string): Promise<Buffer | undefined> =>
  readFile(file).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })

async function lockedKey(file: string, data: Buffer): Promise<KeyFile> {
  const blob = publicPart(data)
  const text = blob
    ? `${blob.toString('latin1', 4, 4 + blob.readUInt32BE(0))} ${blob.toString('base64')}`
    : await readIfThere(`${file}.pub`)
  const key = text === undefined ? undefined : parse(text)
  if (key === undefined || key instanceof Error)
    return { unusable: 'it is encrypted and its public part, the .pub file, is missing' }
  return {
    public: key,
    unlock(passphrase) {
      const opened = parse(data, passphrase)
      return opened instanceof Error ? undefined : opened
    },
  }
}

/** Reads a private or public key file. Undefined when there is none. */
export async function readKeyFile(file: string): Promise<KeyFile | undefined> {
  try {
    const data = await readIfThere(file)
    if (data === undefined) return undefined
    const key = parse(data)
    if (key instanceof Error)
      return isLocked(key)
        ? await lockedKey(file, data)
        : { unusable: 'it is no key fleet can read' }
    return key.isPrivateKey() ? { private: key } : { public: key }
  } catch (error) {
    return { unusable: codeOf(error) === 'EACCES' ? 'it may not be read' : 'it cannot be read' }
  }
}
