import type { z } from 'zod'
import type { HostRecord } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import type { HostStatus } from '../machine/status.ts'
import { checkRecords } from './check-records.ts'
import type { Grant } from './grants.ts'
import type { Reshape } from './update.ts'
import type { SshAccess } from './net/ssh-access.ts'

/** What every call to a driver carries. */
export interface Call {
  readonly signal: AbortSignal
  /**
   * Tells the person the step that the call is at. The same step again, with another detail, renews
   * what is shown of it: what a wait waits for, or how far a download is.
   */
  readonly progress: (step: string, detail?: string) => void
}

/** Asks the person a question on the terminal, and resolves to the answer; rejects with kind `cancelled` where there is none. */
export type Ask = (question: {
  readonly text: string
  /** Whether the answer is not to be shown. */
  readonly secret: boolean
}) => Promise<string>

/** What a driver may use of the command that loads it. */
export interface Env {
  /** For what only the person knows, such as the code of a second factor; absent where there is nobody to ask. */
  readonly ask?: Ask | undefined
}

/** Where a host is and how to log in: what transport needs to reach it. No address: this computer. */
export type HostFacts = Pick<HostRecord, 'id' | 'address' | 'port' | 'user' | 'socket'>

/** The driver's own notes on a host: ids, names, places. */
export type DriverState = Readonly<Record<string, string>>

/** A host to make, or to go on making. */
export interface HostSpec {
  readonly name: MachineName
  /** Names the creation: whatever is asked for with the same token is the same host. */
  readonly token: string
  /** For every resource, set in the call that makes it. */
  readonly tags: Readonly<Record<string, string>>
  /** What an earlier attempt with this token recorded; empty at the first. */
  readonly resources: DriverState
  /** What an earlier attempt recorded as the host's id. */
  readonly id?: string | undefined
}

/** The disk that a host on this computer is to start from. */
export interface DiskSpec {
  /** `NAME|PATH|URL[#sha256=…]`, as the person said it. */
  readonly image: string
  readonly arch: 'amd64' | 'arm64'
  /** Of its network cards, where there are several: the seed has each get an address. */
  readonly macAddresses?: readonly string[]
}

/** A disk that was asked for with a {@link DiskSpec}, all in one file, and what goes with it. */
export interface SeedDisk {
  /** Not to be written to, and perhaps gone after `make`: who needs it longer links or copies it. */
  readonly path: string
  /** Where the provider takes another one, the driver converts. */
  readonly format: 'qcow2' | 'raw' | 'vdi' | 'vmdk'
  /** Of the disk in it, in bytes, where fleet has looked. */
  readonly size?: number
  /** The same digest is the same disk. */
  readonly digest: string
  /** An ISO image for cloud-init's NoCloud: user-data, meta-data, network-config. Private, as the user-data is. */
  readonly noCloud: Uint8Array
}

/** What a new host starts with, and where its maker notes what it made. */
export interface BootstrapData {
  /** The login key, `ssh-ed25519 AAAA…`. */
  readonly publicKey: string
  /** For cloud-init. */
  readonly userData: Uint8Array
  /** What the plan asked for with `disk`; absent for a host that exists. */
  readonly disk?: SeedDisk | undefined
  /** Durable once resolved. Called after each thing that is made, before the next is asked for. */
  record(made: { readonly id?: string; readonly resources?: DriverState }): Promise<void>
}

/** A host that can be made as it was wished, as far as that can be known before. */
export interface HostPlan {
  /**
   * What was decided (region, image, zone), recorded before anything is made so that all attempts ask for the same. `undefined`
   * takes away what an earlier attempt recorded: what is not made yet can be decided anew.
   */
  readonly resources: Readonly<Record<string, string | undefined>>
  /** Who fleet logs in as; the user-data creates this user. */
  readonly user: string
  readonly userData: {
    /** How long it may be, in bytes, once packed. */
    readonly maxBytes: number
    /** Whether it may be compressed. */
    readonly gzip: boolean
  }
  /** Shell commands that the host is to run at every boot, before its engine starts. */
  readonly bootCommands?: readonly string[]
  /** For a host that starts from an image of a disk: downloaded and checked before anything is made. */
  readonly disk?: DiskSpec | undefined
  /** What was decided, in words for the person. */
  readonly notes: readonly string[]
  /** The host exists, by an earlier attempt: what it started with is settled. */
  readonly exists: boolean
  /** Makes what is not there yet, and waits until the host has an address. */
  make(seed: BootstrapData, call: Call): Promise<HostFacts>
}

/** A host that somebody else made. */
export interface RecalledHost extends HostFacts, Pick<HostRecord, 'resources'> {
  /** What its entry says where the person said nothing: the options that it was made with, as far as they can be seen. */
  readonly options?: Readonly<Record<string, string | number | boolean>>
}

/** The fleet whose hosts are looked for. */
export interface FleetScope {
  /** The inventory's, as in the tag `fleet:id`. */
  readonly id: string
  /**
   * The driver's options of all machines and of the inventory's defaults: where hosts may be. Of what is only known to have been
   * used once, those that say where (a region, a profile, a subscription).
   */
  readonly options: readonly Readonly<Record<string, unknown>>[]
  /** Whether to look where these options do not lead, too: in every region of an account (default: false). */
  readonly everywhere?: boolean
  /** Told of each place that could not be asked, and why; what is found elsewhere counts all the same. */
  readonly onUnasked?: (place: string, reason: string) => void
}

/** What exists at the provider under one token. */
export interface FoundHost {
  readonly token: string
  /** The machine's name when it was made. */
  readonly machine: string
  /** Enough for `remove`. */
  readonly record: HostRecord
  /** What there is, for the person: `instance i-0abc (running)`. */
  readonly parts: readonly string[]
  /** The tags that `plan` was given for it, as the provider has them: they tell its age and who made it. */
  readonly tags?: Readonly<Record<string, string>>
}

/** Hosts that come and go at the driver's word. */
export interface Lifecycle<Options = Readonly<Record<string, unknown>>> {
  /**
   * Checks all that can be checked before anything is made, and decides what was left open. Makes nothing.
   * Throws kind `usage` for what the person can change, `credentials` where the provider lets nobody in.
   */
  plan(wish: HostSpec, options: Options, call: Call): Promise<HostPlan>
  /**
   * Removes all that was made for a host, found by its record and its token, and nothing else. Resolves when
   * it is gone already; what cannot be removed is named in the error.
   */
  remove(host: HostRecord, call: Call): Promise<void>
  /** Finds by tag what exists of a fleet, whatever the inventory remembers. */
  list(fleet: FleetScope, call: Call): Promise<readonly FoundHost[]>
}

/** Hosts that can be switched. Each resolves when the host is in that state, at once where it was before. */
export interface Power {
  start(host: HostRecord, call: Call): Promise<void>
  /** Lets the host shut down. */
  stop(host: HostRecord, call: Call): Promise<void>
  restart(host: HostRecord, call: Call): Promise<void>
  /** Switches off without asking the host. */
  kill(host: HostRecord, call: Call): Promise<void>
}

/** A state of a host that was kept. */
export interface Snapshot {
  readonly name: string
  /** ISO 8601. */
  readonly created: string
  /** Whether the host ran, and will after `restore`. */
  readonly isRunning: boolean
}

/** States of hosts that can be gone back to. They go with the host. */
export interface Snapshots {
  /** Keeps what is on the disk, and of a host that runs its memory. Throws kind `usage` where there is one of that name. */
  save(host: HostRecord, snapshot: string, call: Call): Promise<void>
  /** The host is as it was then, running or stopped; all since is lost. Throws kind `usage` where there is none of that name. */
  restore(host: HostRecord, snapshot: string, call: Call): Promise<void>
  /** The oldest first. */
  list(host: HostRecord, call: Call): Promise<readonly Snapshot[]>
  /** Throws kind `usage` where there is none of that name. */
  remove(host: HostRecord, snapshot: string, call: Call): Promise<void>
}

/**
 * How hosts come to be. What every driver can do is required; a part that a provider
 * cannot do is absent, never a method that throws.
 */
export interface Driver<Options = Readonly<Record<string, unknown>>> {
  /** A host that exists already: says where it is. Changes nothing. */
  locate?(name: MachineName, options: Options, call: Call): Promise<HostFacts>
  /**
   * A host that somebody else made and that the provider knows by `id`: what there is to remember of it, so that it can be
   * observed and switched like others. `options` has what was said, and no defaults. Changes nothing. Throws kind `usage`
   * where there is none, or no way to it.
   */
  describeExisting?(id: string, options: Partial<Options>, call: Call): Promise<RecalledHost>
  /** Asks the provider about many hosts in one call. A host that is gone is `absent`. */
  observe(
    hosts: ReadonlyMap<MachineName, HostRecord>,
    call: Call,
  ): Promise<ReadonlyMap<MachineName, HostStatus>>
  readonly lifecycle?: Lifecycle<Options>
  readonly power?: Power
  readonly snapshots?: Snapshots
  readonly update?: Reshape<Options>
  readonly sshAccess?: SshAccess
}

/** The version of this contract. What a driver would have to follow raises it. */
export const contractVersion = 1

/** A driver as data; its code is loaded when it is used. */
export interface DriverDefinition<Shape extends z.ZodRawShape = z.ZodRawShape> {
  /** The version of the contract that it was written for. `defineDriver` sets it for fleet's own. */
  readonly contract: number
  readonly name: string
  /** One line for `fleet create --help`. */
  readonly summary: string
  /** From this schema come the flags, the check of machines.yaml, the prompts and the documentation. */
  readonly options: z.ZodObject<Shape, z.core.$strict>
  /** Whether hosts cost nothing, since they are on this computer (default: false). */
  readonly isFree?: boolean
  /** Options that `fleet create` asks for on a terminal though they may be left out, in this order. */
  readonly prompts?: readonly string[]
  /** What a host with these options is given. Some options may be missing: then those that are there count. */
  grants?(options: Readonly<Record<string, unknown>>): readonly Grant[]
  /** @param folder private to the person and the driver, for what a driver keeps on this computer; it need not exist */
  load(
    folder: string,
    surroundings?: Env,
  ): Promise<Driver<z.infer<z.ZodObject<Shape, z.core.$strict>>>>
}

/** Declares a driver, keeping the types of its options. It is asked about checked records only. */
export const defineDriver = <Shape extends z.ZodRawShape>(
  definition: Omit<DriverDefinition<Shape>, 'contract'> & {
    readonly prompts?: readonly (string & keyof Shape)[]
  },
): DriverDefinition<Shape> => ({
  contract: contractVersion,
  ...definition,
  load: async (folder, surroundings) => checkRecords(await definition.load(folder, surroundings)),
})

/** The status of hosts that no provider can be asked about: only a connection can tell. */
export const unknownStatus = (
  hosts: ReadonlyMap<MachineName, HostRecord>,
): ReadonlyMap<MachineName, HostStatus> =>
  new Map([...hosts.keys()].map((name) => [name, { state: 'unknown' }]))
