import type { z } from 'zod'
import type { HostRecord, HostStatus } from '../machine/machine.ts'
import type { MachineName } from '../machine/name.ts'
import type { Environment } from '../os/environment.ts'
import { checkRecords } from './check-records.ts'
import type { Grant } from './grants.ts'
import type { Update } from './update.ts'
import type { PeerAccess } from './net/peer-access.ts'
import type { SshAccess } from './net/ssh-access.ts'

/** Cancellation and progress of one call, passed to every method of a driver. */
export interface Call {
  readonly signal: AbortSignal
  /**
   * Reports the current step to the user. Reporting the same step with another `detail` updates the line, for example
   * to show how much of a download is complete.
   */
  readonly progress: (step: string, detail?: string) => void
}

/**
 * Asks the user a question on the terminal and resolves to the answer. Rejects with kind `cancelled` if there is no
 * terminal.
 */
export type Ask = (question: {
  readonly text: string
  /** Whether to hide the answer while it is typed. */
  readonly secret: boolean
}) => Promise<string>

/** The user's environment, provided by the command that loads a driver. */
export interface DriverContext {
  /** The user's environment variables. Read these instead of `process.env`. */
  readonly env: Environment
  /** Asks for a value that only the user knows, such as a one-time password; absent if there is no terminal. */
  readonly ask?: Ask | undefined
}

/** The data that a transport needs to reach a host. Without an address, the host is this computer. */
export type HostFacts = Pick<HostRecord, 'id' | 'address' | 'port' | 'user' | 'socket'>

/**
 * A program on this computer that tunnels SSH connections to a host to which fleet cannot connect directly. The
 * connection uses the program's standard input and output, unless `listens` is set. As for other hosts, fleet verifies
 * the pinned host key. It stops the program when the connection ends, and shows the end of the program's standard error
 * if the program fails.
 */
export interface Tunnel {
  /** The program and its arguments, which no shell interprets. */
  readonly argv: readonly string[]
  /** How to install the program; shown in the error if the program is missing. */
  readonly install: string
  /**
   * Hints for failures: the first entry whose text is in the program's standard error applies. An
   * empty text always matches.
   */
  readonly hints: readonly {
    readonly text: string
    readonly hint: string
    /** Whether retrying cannot help, for example because a permission is missing. */
    readonly isPermanent?: boolean
  }[]
  /** Environment variables to set for the program. */
  readonly env?: Readonly<Record<string, string>>
  /**
   * For a program that listens on a TCP port on 127.0.0.1 and forwards connections to the host. fleet stops the program
   * with SIGINT.
   */
  readonly listens?: {
    /** The text before the port number in the program's standard error. */
    readonly portAfter: string
    /** Texts that identify those lines of the program's standard error that are not errors. */
    readonly messages: readonly string[]
  }
}

/** Values that the driver records for a host, such as IDs and the region. */
export type DriverState = Readonly<Record<string, string>>

/** A host to create, or to finish creating. */
export interface HostSpec {
  readonly name: MachineName
  /** Identifies the creation: requests with the same token are for the same host. */
  readonly token: string
  /** Tags for every resource, to be set in the call that creates it. */
  readonly tags: Readonly<Record<string, string>>
  /** The values that an earlier attempt with this token recorded; empty on the first attempt. */
  readonly resources: DriverState
  /** The host's ID, if an earlier attempt recorded it. */
  readonly id?: string | undefined
}

/** The disk image that a host on this computer boots from. */
export interface DiskSpec {
  /** `NAME|PATH|URL[#sha256=…]`, as the user wrote it. */
  readonly image: string
  readonly arch: 'amd64' | 'arm64'
  /**
   * MAC addresses of the network cards if there are several, so that cloud-init configures DHCP on
   * each.
   */
  readonly macAddresses?: readonly string[]
}

/**
 * The disk that a {@link DiskSpec} requested, as one file without backing files, and its cloud-init
 * data.
 */
export interface BootDisk {
  /** Path of a read-only file that may be deleted after `make`. To keep the file, link or copy it. */
  readonly path: string
  /** Format of the file. If the provider requires another format, the driver converts the file. */
  readonly format: 'qcow2' | 'raw' | 'vdi' | 'vmdk'
  /** Virtual size of the disk in bytes, if known. */
  readonly size?: number
  /** Identifies the contents: disks with the same digest are identical. */
  readonly digest: string
  /**
   * ISO image for the NoCloud data source of cloud-init: user-data, meta-data and network-config.
   * Contains secrets.
   */
  readonly noCloud: Uint8Array
}

/** The data that a new host boots with, and the function that records what the driver creates. */
export interface BootstrapData {
  /** The public login key, `ssh-ed25519 AAAA…`. */
  readonly publicKey: string
  /** The user-data for cloud-init. */
  readonly userData: Uint8Array
  /** The disk that the plan requested; absent if the host already exists. */
  readonly disk?: BootDisk | undefined
  /**
   * Records created resources. The record is durable once the promise resolves. Call it after
   * creating each resource, before requesting the next one.
   */
  record(created: { readonly id?: string; readonly resources?: DriverState }): Promise<void>
}

/** The plan for a host, checked as far as possible without creating anything. */
export interface HostPlan {
  /**
   * Decisions (region, image, zone), recorded before anything is created so that every attempt
   * requests the same host. `undefined` removes a value that an earlier attempt recorded.
   */
  readonly resources: Readonly<Record<string, string | undefined>>
  /** The user that fleet logs in as. The user-data creates this user. */
  readonly user: string
  readonly userData: {
    /** Maximum size in bytes, after compression. */
    readonly maxBytes: number
    /** Whether the user-data may be compressed with gzip. */
    readonly gzip: boolean
  }
  /** Shell commands that the host runs at every boot, before its engine starts. */
  readonly bootCommands?: readonly string[]
  /**
   * The disk image, for a host that boots from one. fleet downloads and verifies the image before anything is created.
   */
  readonly disk?: DiskSpec | undefined
  /** The decisions, described for the user. */
  readonly notes: readonly string[]
  /** Whether an earlier attempt has created the host, in which case its boot data can no longer change. */
  readonly exists: boolean
  /** Creates the missing resources, and waits until the host has an address. */
  make(data: BootstrapData, call: Call): Promise<HostFacts>
}

/** A host that fleet did not create. */
export interface ExistingHost extends HostFacts, Pick<HostRecord, 'resources'> {
  /**
   * The options that the host was created with, as far as the provider shows them. The user's own
   * options take precedence.
   */
  readonly options?: Readonly<Record<string, string | number | boolean>>
}

/** Which fleet's hosts to list, and where to search for them. */
export interface FleetScope {
  /** The ID of the inventory, stored in the tag `fleet:id` of every resource. */
  readonly id: string
  /**
   * The driver's options of all machines, and the inventory's defaults. They show where hosts can be. Entries that were
   * used only in the past contain just the options that locate hosts (a region, a profile, a subscription).
   */
  readonly options: readonly Readonly<Record<string, unknown>>[]
  /** Whether to search everywhere, such as in every region of the account (default: false). */
  readonly everywhere?: boolean
  /**
   * Called for each region or account that could not be searched, with the reason. The search
   * continues.
   */
  readonly onSkipped?: (place: string, reason: string) => void
}

/** The existing resources at the provider that have the same token. */
export interface FoundHost {
  readonly token: string
  /** The machine's name at the time the host was created. */
  readonly machine: string
  /** A record that is sufficient for `remove`. */
  readonly record: HostRecord
  /** The existing resources, described for the user, such as `instance i-0abc (running)`. */
  readonly parts: readonly string[]
  /** The resources' tags, which show how old the host is and who created it. */
  readonly tags?: Readonly<Record<string, string>>
}

/** Creating and deleting hosts. */
export interface Lifecycle<Options = Readonly<Record<string, unknown>>> {
  /**
   * Checks everything that can be checked in advance, and makes all decisions. Creates nothing. Throws kind `usage` for
   * problems that the user can fix, and `credentials` if the provider rejects the login.
   */
  plan(spec: HostSpec, options: Options, call: Call): Promise<HostPlan>
  /**
   * Deletes everything that was created for a host, identified by its record and token, and nothing else. Resolves if
   * the host has already been deleted. The error names what could not be deleted.
   */
  remove(host: HostRecord, call: Call): Promise<void>
  /** Finds the existing resources of a fleet by their tags, whether or not the inventory has an entry for them. */
  list(fleet: FleetScope, call: Call): Promise<readonly FoundHost[]>
}

/**
 * Starting and stopping hosts. Each method resolves when the host is in the requested state, immediately if it already
 * is.
 */
export interface Power {
  start(host: HostRecord, call: Call): Promise<void>
  /** Shuts the host down. */
  stop(host: HostRecord, call: Call): Promise<void>
  restart(host: HostRecord, call: Call): Promise<void>
  /** Powers the host off without shutting it down. */
  kill(host: HostRecord, call: Call): Promise<void>
}

/** A saved state of a host. */
export interface Snapshot {
  readonly name: string
  /** ISO 8601. */
  readonly created: string
  /** Whether the host was running. If so, it will be running after `restore`. */
  readonly isRunning: boolean
}

/** Saving and restoring the state of hosts. Snapshots are deleted with the host. */
export interface Snapshots {
  /** Saves the disk and, if the host is running, its memory. Throws kind `usage` if the snapshot already exists. */
  save(host: HostRecord, snapshot: string, call: Call): Promise<void>
  /**
   * Restores the saved state, running or stopped. All changes made since then are lost. Throws kind `usage` if the
   * snapshot does not exist.
   */
  restore(host: HostRecord, snapshot: string, call: Call): Promise<void>
  /** Lists a host's snapshots, oldest first. */
  list(host: HostRecord, call: Call): Promise<readonly Snapshot[]>
  /** Deletes a snapshot. Throws kind `usage` if it does not exist. */
  remove(host: HostRecord, snapshot: string, call: Call): Promise<void>
}

/**
 * The implementation of a host provider. A capability that the provider does not support is absent, never a method that
 * throws.
 */
export interface Driver<Options = Readonly<Record<string, unknown>>> {
  /** Returns how to reach an existing host. Changes nothing. */
  locate?(name: MachineName, options: Options, call: Call): Promise<HostFacts>
  /**
   * Describes the host that the provider knows as `id` and that fleet did not create, so that it can be observed,
   * started and stopped. `options` contains only what the user set, without the schema's defaults. Changes nothing.
   * Throws kind `usage` if there is no such host or the host cannot be reached.
   */
  describeExisting?(id: string, options: Partial<Options>, call: Call): Promise<ExistingHost>
  /** Returns the state of many hosts with as few requests as possible. A deleted host is reported as `absent`. */
  observe(
    hosts: ReadonlyMap<MachineName, HostRecord>,
    call: Call,
  ): Promise<ReadonlyMap<MachineName, HostStatus>>
  readonly lifecycle?: Lifecycle<Options>
  readonly power?: Power
  readonly snapshots?: Snapshots
  readonly update?: Update<Options>
  readonly sshAccess?: SshAccess
  readonly peerAccess?: PeerAccess
}

/** Version of this contract. It is incremented if a change requires existing drivers to be adapted. */
export const contractVersion = 2

/** The name, options and other data of a driver. The driver's code is loaded only when it is needed. */
export interface DriverDefinition<Shape extends z.ZodRawShape = z.ZodRawShape> {
  /**
   * Version of the contract that the driver was written for. `defineDriver` sets it for fleet's own
   * drivers.
   */
  readonly contract: number
  readonly name: string
  /** A one-line description for `fleet create --help`. */
  readonly summary: string
  /** Flags, validation of machines.yaml, prompts and documentation are derived from this schema. */
  readonly options: z.ZodObject<Shape, z.core.$strict>
  /** Whether hosts cost nothing because they are on this computer (default: false). */
  readonly isFree?: boolean
  /** Optional options that `fleet create` prompts for on a terminal, in this order. */
  readonly prompts?: readonly string[]
  /**
   * Returns the access to this computer and its network that these options give to a host. Required
   * options may be missing. `env` contains the user's environment variables.
   */
  grants?(options: Readonly<Record<string, unknown>>, env: Environment): readonly Grant[]
  /**
   * Returns the program that tunnels connections to a host; `undefined` if fleet connects directly to the host's
   * address. fleet calls this method only for records whose `resources` contain the key `reach`. Anyone who can push to
   * the inventory's repository can edit a record, so check each value that becomes an argument. Throws kind `inventory`
   * for invalid values.
   */
  tunnel?(host: HostRecord): Tunnel | undefined
  /**
   * Loads the driver's code.
   *
   * @param folder private to the user and the driver, for files that the driver keeps on this computer; it might not
   * exist yet
   */
  load(
    folder: string,
    context: DriverContext,
  ): Promise<Driver<z.infer<z.ZodObject<Shape, z.core.$strict>>>>
}

/** Declares a built-in driver, with typed options. Records are checked before they reach the driver. */
export const defineDriver = <Shape extends z.ZodRawShape>(
  definition: Omit<DriverDefinition<Shape>, 'contract'> & {
    readonly prompts?: readonly (string & keyof Shape)[]
  },
): DriverDefinition<Shape> => ({
  contract: contractVersion,
  ...definition,
  load: async (folder, context) => checkRecords(await definition.load(folder, context)),
})

/**
 * Returns the state `unknown` for each host, for drivers without a provider: only a connection
 * shows whether a host is running.
 */
export const unknownStatus = (
  hosts: ReadonlyMap<MachineName, HostRecord>,
): ReadonlyMap<MachineName, HostStatus> =>
  new Map([...hosts.keys()].map((name) => [name, { state: 'unknown' }]))
