import ssh2 from 'ssh2'
import { fingerprint, parsePublicKey } from '../host-keys/host-key.ts'

/** A key pair in OpenSSH's forms, without a passphrase. */
export interface KeyPair {
  /** PEM. */
  readonly privateKey: string
  /** `ssh-ed25519 BASE64`, without the comment. */
  readonly publicKey: string
  /** `SHA256:…` */
  readonly fingerprint: string
}

/** Makes an Ed25519 key pair. The comment stands in the private key. */
export function makeKeyPair(comment: string): KeyPair {
  // ssh2 1.17 loses a zero byte that a public key begins with: one key of 256 is no key, by itself or OpenSSH.
  for (;;) {
    const made = ssh2.utils.generateKeyPairSync('ed25519', { comment })
    const publicKey = parsePublicKey(made.public)
    if (publicKey === undefined || ssh2.utils.parseKey(made.private) instanceof Error) continue
    return { privateKey: made.private, publicKey, fingerprint: fingerprint(publicKey) }
  }
}
