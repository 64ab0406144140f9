/** What a new host is made from. */
export interface Seed {
  /** As RunInstances had it, base64 undone. */
  readonly userData: Buffer
  /** The account that the image's cloud-init makes by default. */
  readonly user: string
  /** The key pair's public key, which goes to that account. */
  readonly publicKey: string | undefined
}

/** A host that stands behind an instance. Its methods are called one after the other. */
export interface Host {
  /** Its address for as long as it exists. */
  readonly privateAddress: string
  /** Boots for the first time, with what the seed says, and answers on an address. */
  boot(seed: Seed, address: string | undefined): Promise<void>
  /** Answers on a public address, and on none that it had before; `undefined`: on its private one alone. */
  answerOn(address: string | undefined): Promise<void>
  start(address: string | undefined): Promise<void>
  /** `force`: pulls the plug. */
  stop(force: boolean): Promise<void>
  /** Gives it back with all that is on it. */
  release(): Promise<void>
}

/** Where instances get hosts from. */
export interface HostSource extends AsyncDisposable {
  /** A host that is not booted yet. */
  lease(): Promise<Host>
  /** A public address that no host has. */
  newAddress(): Promise<string>
}

/**
 * No hosts: every address is one of loopback, where nobody answers (127.64.0.0/16). Drivers see addresses come
 * and change, and nothing can be connected to.
 */
export function makeNoHosts(): HostSource {
  let count = 0
  const next = () => `127.64.${Math.floor(++count / 250) % 250}.${1 + (count % 250)}`
  return {
    newAddress: async () => next(),
    lease: async () => ({
      privateAddress: next(),
      boot: async () => {},
      answerOn: async () => {},
      start: async () => {},
      stop: async () => {},
      release: async () => {},
    }),
    [Symbol.asyncDispose]: async () => {},
  }
}
