import {
  type Read,
  flag,
  id,
  list,
  listOrNull,
  moment,
  nothing,
  number,
  object,
  optional,
  record,
  text,
  whole,
  withDefault,
} from './answer.ts'
import type { Engine } from './engine.ts'

/** A published or exposed port of a container. */
export interface ContainerPort {
  readonly IP?: string | undefined
  readonly PrivatePort: number
  readonly PublicPort?: number | undefined
  readonly Type: string
}

/** A mount of a container: a named volume, or a directory of the host. */
interface ContainerMount {
  readonly Name?: string | undefined
  readonly Source: string
  /** The driver of the volume. */
  readonly Driver?: string | undefined
}

/** A container in a list, with the field names of the API (ContainerList). */
export interface ContainerSummary {
  readonly Id: string
  /** Each name starts with a slash. */
  readonly Names: readonly string[]
  readonly Image: string
  readonly ImageID: string
  readonly Command: string
  /** Unix seconds. */
  readonly Created: number
  readonly Ports: readonly ContainerPort[]
  readonly Labels: Readonly<Record<string, string>>
  readonly Mounts: readonly ContainerMount[]
  /** The names of its networks, which are the keys of `NetworkSettings.Networks`. */
  readonly Networks: readonly string[]
  /** The platform of its image, if the engine reports it. */
  readonly Platform?: object | undefined
  /** `running`, `exited`, … */
  readonly State: string
  /** The state as text: `Up 3 minutes (healthy)`. */
  readonly Status: string
  /** The size of the container's writable layer, in bytes; present only if `size` was requested. */
  readonly SizeRw?: number | undefined
  /** The total size of all its layers, in bytes; present only if `size` was requested. */
  readonly SizeRootFs?: number | undefined
}

const readPort: Read<ContainerPort> = object<ContainerPort>({
  IP: optional(text),
  PrivatePort: number,
  PublicPort: optional(number),
  Type: text,
})

interface ListedContainer extends Omit<ContainerSummary, 'Networks' | 'Platform'> {
  readonly ImageManifestDescriptor?: { readonly platform?: object | undefined } | undefined
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, void>> }
}

const readListed: Read<ListedContainer> = object<ListedContainer>({
  Id: id,
  Names: listOrNull(text),
  Image: text,
  ImageID: withDefault(text, ''),
  Command: withDefault(text, ''),
  Created: moment,
  Ports: listOrNull(readPort),
  Labels: withDefault(record(text), {}),
  Mounts: listOrNull(
    object<ContainerMount>({
      Name: optional(text),
      Source: withDefault(text, ''),
      Driver: optional(text),
    }),
  ),
  NetworkSettings: withDefault(
    object<ListedContainer['NetworkSettings']>({ Networks: withDefault(record(nothing), {}) }),
    { Networks: {} },
  ),
  ImageManifestDescriptor: optional(object({ platform: optional(whole({})) })),
  State: text,
  Status: withDefault(text, ''),
  SizeRw: optional(number),
  SizeRootFs: optional(number),
})

/** Parses a container in a list. */
export const readContainer: Read<ContainerSummary> = (value, at) => {
  const { NetworkSettings, ImageManifestDescriptor, ...container } = readListed(value, at)
  const Networks = Object.keys(NetworkSettings.Networks)
  return { ...container, Networks, Platform: ImageManifestDescriptor?.platform }
}

/** The `filters` of the API: values keyed by filter name, such as `{ status: ['exited'] }`. */
export type Filters = Readonly<Record<string, readonly string[]>>

export interface ListOptions {
  /** Include containers that are not running. */
  readonly all?: boolean
  /** Measure the sizes of the layers, which is slow. */
  readonly size?: boolean
  /** List only this many of the newest containers, running or not. */
  readonly limit?: number
  readonly filters?: Filters
  readonly signal?: AbortSignal
}

/** Lists the containers of an engine, newest first. */
export async function listContainers(
  engine: Engine,
  { signal, ...query }: ListOptions = {},
): Promise<readonly ContainerSummary[]> {
  const containers = await engine.json(
    { path: '/containers/json', query, ...(signal && { signal }) },
    list(readContainer),
  )
  if (query.size !== true) return containers
  // The engine omits sizes that are zero.
  return containers.map((container) => Object.assign({ SizeRw: 0, SizeRootFs: 0 }, container))
}

/** Returns the name of a container, ignoring the names that links have added, or its short ID if it has no name. */
export const containerName = ({ Id, Names }: ContainerSummary): string =>
  Names.find((name) => name.lastIndexOf('/') === 0)?.slice(1) ?? Id.slice(0, 12)

/** The details of a container (ContainerInspect). Only the fields that fleet uses are typed. */
export interface ContainerDetails {
  readonly Id: string
  readonly Name: string
  readonly Config: { readonly Tty: boolean; readonly Image: string }
  readonly State: { readonly Status: string; readonly Running: boolean; readonly ExitCode: number }
  readonly [part: string]: unknown
}

const readDetails = whole<Pick<ContainerDetails, 'Id' | 'Name' | 'Config' | 'State'>>({
  Id: id,
  Name: text,
  Config: object<ContainerDetails['Config']>({ Tty: withDefault(flag, false), Image: text }),
  State: object<ContainerDetails['State']>({ Status: text, Running: flag, ExitCode: number }),
})

/** Inspects the container with the name `container`, or with an ID that starts with it. */
export const inspectContainer = (
  engine: Engine,
  container: string,
  { size, signal }: { size?: boolean; signal?: AbortSignal } = {},
): Promise<ContainerDetails> =>
  engine.json(
    {
      path: `/containers/${encodeURIComponent(container)}/json`,
      query: { size },
      ...(signal && { signal }),
    },
    readDetails,
  )

/** The addresses at which a container can be reached from its host. */
export interface ContainerAddresses {
  readonly Id: string
  readonly State: { readonly Running: boolean }
  /** `host`, `none`, `container:ID`, or the name of a network. */
  readonly HostConfig: { readonly NetworkMode: string }
  readonly NetworkSettings: {
    readonly Networks: Readonly<
      Record<string, { readonly IPAddress: string; readonly GlobalIPv6Address: string }>
    >
    /** The published ports, keyed by `PORT/PROTOCOL`. */
    readonly Ports: Readonly<
      Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[]>
    >
  }
}

const readAddresses = object<ContainerAddresses>({
  Id: id,
  State: object<ContainerAddresses['State']>({ Running: flag }),
  HostConfig: object<ContainerAddresses['HostConfig']>({ NetworkMode: withDefault(text, '') }),
  NetworkSettings: object<ContainerAddresses['NetworkSettings']>({
    Networks: withDefault(
      record(
        object<ContainerAddresses['NetworkSettings']['Networks'][string]>({
          IPAddress: withDefault(text, ''),
          GlobalIPv6Address: withDefault(text, ''),
        }),
      ),
      {},
    ),
    Ports: withDefault(
      record(
        listOrNull(
          object<ContainerAddresses['NetworkSettings']['Ports'][string][number]>({
            HostIp: withDefault(text, ''),
            HostPort: withDefault(text, ''),
          }),
        ),
      ),
      {},
    ),
  }),
})

/**
 * Reads the addresses of a container (ContainerInspect). Accepts the same names and IDs as {@link inspectContainer}.
 */
export const inspectAddresses = (engine: Engine, container: string): Promise<ContainerAddresses> =>
  engine.json({ path: `/containers/${encodeURIComponent(container)}/json` }, readAddresses)

/** A change to the state of a container; `rm` removes the container. */
export type ContainerChange = 'start' | 'stop' | 'restart' | 'kill' | 'rm'

/**
 * How long a container may take to stop, in milliseconds: its image may set a longer timeout than the engine's default
 * of ten seconds.
 */
const stoppingMs = 300_000

/** Starts, stops, restarts, kills or removes a container. Throws kind `failed` with the engine's message. */
export const changeContainer = (
  engine: Engine,
  container: string,
  change: ContainerChange,
  signal?: AbortSignal,
): Promise<void> => {
  const path = `/containers/${encodeURIComponent(container)}`
  const request =
    change === 'rm'
      ? ({ method: 'DELETE', path } as const)
      : ({ method: 'POST', path: `${path}/${change}` } as const)
  return engine.json({ ...request, idleTimeoutMs: stoppingMs, ...(signal && { signal }) }, nothing)
}
