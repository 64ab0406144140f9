/** The private keys in home, by fingerprint. */
export interface Keys {
  /** The file of the private key with this `SHA256:…` fingerprint, if home has it. */
  find(fingerprint: string): Promise<string | undefined>
  /** Remembers that the private key of this fingerprint is in `file`, which stays where it is. */
  remember(fingerprint: string, file: string): Promise<void>
}
