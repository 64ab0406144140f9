import type { HostRecord, HostStatus } from '../machine/machine.ts'
import type { Call } from './driver.ts'

/** An option whose value differs from the host's current value. */
export interface Difference {
  /** The key of the option in the driver's schema. */
  readonly option: string
  /** The current value (`from`) and the new value (`to`), formatted for the user. */
  readonly from: string
  readonly to: string
  /**
   * How the option can change. `live`: while the host is running. `stop`: while it is stopped.
   * `replace`: only with a new host; all data of the current host is lost.
   */
  readonly how: 'live' | 'stop' | 'replace'
  /** Why no easier change is possible, if that is not obvious. */
  readonly why?: string
}

/** A request to change some of a host's options. */
export interface UpdateRequest<Options> {
  /** The validated options of the host's entry, merged with the inventory's defaults. */
  readonly options: Options
  /**
   * Keys of the options to change: those that `compare` reported, except those whose `how` is `replace`. No other
   * options may change.
   */
  readonly only: ReadonlySet<string>
}

/** Changing hosts after their creation. */
export interface Update<Options = Readonly<Record<string, unknown>>> {
  /**
   * Returns how a host differs from its options, according to `status` (from `observe`, which sends one request for
   * many hosts) and the resources in the record. Sends further requests only if an option differs. An option whose
   * value the driver chose at creation is not a difference while the user has not set it. Throws kind `usage` for a
   * value that the provider does not know.
   */
  compare(
    host: HostRecord,
    options: Options,
    status: HostStatus,
    call: Call,
  ): Promise<readonly Difference[]>
  /**
   * Changes the options in `request.only`. If one of them requires a stopped host, the host is stopped and stays
   * stopped. Skips what has already changed, so that an interrupted change can be repeated. Returns the resources to
   * record (`undefined` to remove a value); they are recorded after all changes. Throws kind `usage` for problems that
   * the user can fix.
   */
  change(
    host: HostRecord,
    request: UpdateRequest<Options>,
    call: Call,
  ): Promise<Readonly<Record<string, string | undefined>>>
  /** Keys of the options that enlarge the root disk. After such a change, fleet grows the file system. */
  readonly disks: readonly string[]
}
