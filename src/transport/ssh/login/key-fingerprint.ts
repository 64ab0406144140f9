import { fingerprint, formatPublicKey } from '../host-keys/host-key.ts'
import { certifiedKey } from './key.ts'
import { readKeyFile } from './key-file.ts'

/** `SHA256:…` of the key in a file, private or public, locked or not. Undefined when there is none to read. */
export async function fingerprintKeyFile(file: string): Promise<string | undefined> {
  const content = await readKeyFile(file)
  if (content === undefined || 'unusable' in content) return undefined
  const key = 'private' in content ? content.private : content.public
  return fingerprint(formatPublicKey(certifiedKey(key).blob))
}
