/** One change to a host: what a person is told, and the command that does it. */
export interface Step {
  /** Reads on from "fleet will …": `install docker.io`. */
  readonly why: string
  /** Words for the host, already with `sudo` where that is needed. */
  readonly command: readonly string[]
}
