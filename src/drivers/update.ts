import type { HostRecord } from '../machine/machine.ts'
import type { HostStatus } from '../machine/status.ts'
import type { Call } from './driver.ts'

/** An option that says another thing than the host has. */
export interface Difference {
  /** The key of the driver's schema. */
  readonly option: string
  /** What the host has, and what it is to have, in words for the person. */
  readonly from: string
  readonly to: string
  /**
   * How the host can come to have it. `live`: while it runs. `stop`: while it is stopped. `replace`: only a new host can
   * have it, and all that is on this one is lost.
   */
  readonly how: 'live' | 'stop' | 'replace'
  /** Why it cannot be done in an easier way, where that is not plain. */
  readonly why?: string
}

/** Which options of a host are to be brought about. */
export interface ReshapeWish<Options> {
  /** As the entry and the inventory's defaults say them now, checked. */
  readonly options: Options
  /** Options that `compare` found different and not `replace`: these, and no others. */
  readonly only: ReadonlySet<string>
}

/** Hosts that can be changed after they were made. */
export interface Reshape<Options = Readonly<Record<string, unknown>>> {
  /**
   * Says how a host differs from what the options say: by `status`, which `observe` gave for many hosts in one call, and by
   * what the record's resources remember. What is alike costs no call; what is not may cost one that serves many
   * hosts (whether a type exists). An option that was left to the driver when the host was made, and still is, is never a
   * difference, whatever the driver would decide today. Throws kind `usage` for a value that the provider does not know.
   */
  compare(
    host: HostRecord,
    options: Options,
    status: HostStatus,
    call: Call,
  ): Promise<readonly Difference[]>
  /**
   * Brings about what `wish.only` names, and resolves when it is so; the host is stopped where one of them needs that, and is
   * left stopped. Looks first and passes over what is so already: cut short anywhere, another call goes on. Gives the
   * resources to remember, `undefined` for what is to be forgotten: they are recorded when the host has taken all of it in.
   * Throws kind `usage` for what the person can change.
   */
  change(
    host: HostRecord,
    wish: ReshapeWish<Options>,
    call: Call,
  ): Promise<Readonly<Record<string, string | undefined>>>
  /** Options that make the root disk larger: fleet has the system on it take in the new room. */
  readonly disks: readonly string[]
}
