import ssh2 from 'ssh2'
import { fingerprint, parsePublicKey } from '../host-keys/host-key.ts'

/** A key pair in OpenSSH's formats, without a passphrase. */
export interface KeyPair {
  /** The private key, in PEM format. */
  readonly privateKey: string
  /** The public key, as `ssh-ed25519 BASE64`, without the comment. */
  readonly publicKey: string
  /** The fingerprint, as `SHA256:…`. */
  readonly fingerprint: string
}

/** Generates an Ed25519 key pair. The comment is stored in the private key. */
export function makeKeyPair(comment: string): KeyPair {
  // ssh2 1.17 drops a leading zero byte of the public key, so ssh2 and OpenSSH cannot read about one key in 256.
  for (;;) {
    const made = ssh2.utils.generateKeyPairSync('ed25519', { comment })
    const publicKey = parsePublicKey(made.public)
    if (publicKey === undefined || ssh2.utils.parseKey(made.private) instanceof Error) continue
    return { privateKey: made.private, publicKey, fingerprint: fingerprint(publicKey) }
  }
}
