/** The current state of a host as its provider reports it. Never stored. */
export interface HostStatus {
  /** `unknown`: the driver has no provider to query; only a connection shows whether the host runs. */
  readonly state: 'running' | 'paused' | 'stopped' | 'starting' | 'stopping' | 'absent' | 'unknown'
  /**
   * Only with `absent`: the provider reclaimed the host (a spot instance), so fleet creates a
   * replacement.
   */
  readonly reclaimed?: true
  /** The current address according to the provider. */
  readonly address?: string
  /** Current values of the driver's options, as far as the provider's response contains them, formatted by the driver. */
  readonly options?: Readonly<Record<string, string>>
}
