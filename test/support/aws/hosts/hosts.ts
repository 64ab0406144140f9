/** The data that a new host boots with. */
export interface Seed {
  /** The user-data of RunInstances, without base64. */
  readonly userData: Buffer
  /** The default account of the image's cloud-init. */
  readonly user: string
  /** The public key of the key pair, for that account. */
  readonly publicKey: string | undefined
}

/** The host of an instance. Its methods are called one at a time. */
export interface Host {
  /** The private address, which the host keeps until its release. */
  readonly privateAddress: string
  /** Boots for the first time, with the seed and, if set, a public address. */
  boot(seed: Seed, address: string | undefined): Promise<void>
  /** Replaces the public address; if `undefined`, only the private address is left. */
  answerOn(address: string | undefined): Promise<void>
  start(address: string | undefined): Promise<void>
  /** Stops the host; with `force`, without shutting it down. */
  stop(force: boolean): Promise<void>
  /** Starts or stops dropping all packets to and from the host. Only lab hosts support it. */
  drop?(on: boolean): Promise<void>
  /** Releases the host and everything on it. */
  release(): Promise<void>
}

/** Provides hosts for instances. */
export interface HostSource extends AsyncDisposable {
  /** Resolves to a host that has not booted yet. */
  lease(): Promise<Host>
  /** Resolves to an unused public address. */
  newAddress(): Promise<string>
}

/**
 * Returns a source without hosts: every address is on loopback, where nothing listens (127.64.0.0/16). Drivers see
 * addresses appear and change, but cannot connect.
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
