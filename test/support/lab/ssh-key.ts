import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { runProgram } from './process.ts'

/** A login key without a passphrase. */
export interface Identity {
  /** The file of the private key. */
  readonly file: string
  /** `ssh-ed25519 AAAA…`, without a comment. */
  readonly publicKey: string
  /** `SHA256:…`, as ssh-keygen -l prints it. */
  readonly fingerprint: string
}

/** Creates an Ed25519 key pair in `file` and `file`.pub. */
export async function makeKey(file: string, comment: string): Promise<Identity> {
  await runProgram(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', file])
  const [type = '', blob = ''] = (await readFile(`${file}.pub`, 'utf8')).split(' ')
  const digest = createHash('sha256').update(blob, 'base64').digest('base64')
  return {
    file,
    publicKey: `${type} ${blob}`,
    fingerprint: `SHA256:${digest.replace(/=+$/, '')}`,
  }
}
