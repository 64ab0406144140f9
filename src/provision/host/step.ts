/** A change to a host: its description, and the command. */
export interface Step {
  /** Completes the sentence "fleet will …": `install docker.io`. */
  readonly why: string
  /** The command and its arguments, with `sudo` if necessary. */
  readonly command: readonly string[]
}
