/** What the world says of a host now. Never stored. */
export interface HostStatus {
  /** `unknown`: the driver has no provider to ask, so only a connection can tell. */
  readonly state: 'running' | 'paused' | 'stopped' | 'starting' | 'stopping' | 'absent' | 'unknown'
  /** Of `absent`: the provider ended it, as it had reserved to itself, and nobody wanted that: another one is to be made. */
  readonly takenBack?: true
  /** Where the provider says the host is now. */
  readonly address?: string
  /** What it has of the driver's options, as far as the same answer of the provider says, in words of the driver's own. */
  readonly options?: Readonly<Record<string, string>>
}
