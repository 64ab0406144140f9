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

/** What is mounted into a container: a volume with a name, or a folder of the host. */
interface ContainerMount {
  readonly Name?: string | undefined
  readonly Source: string
  /** That of the volume. */
  readonly Driver?: string | undefined
}

/** A container in a list, with the names of the API (ContainerList). */
export interface ContainerSummary {
  readonly Id: string
  /** Each begins with a slash. */
  readonly Names: readonly string[]
  readonly Image: string
  readonly ImageID: string
  readonly Command: string
  /** Unix seconds. */
  readonly Created: number
  readonly Ports: readonly ContainerPort[]
  readonly Labels: Readonly<Record<string, string>>
  readonly Mounts: readonly ContainerMount[]
  /** The names of its networks: the keys of `NetworkSettings.Networks`. */
  readonly Networks: readonly string[]
  /** That of its image, where the engine tells. */
  readonly Platform?: object | undefined
  /** `running`, `exited`, … */
  readonly State: string
  /** State in words: `Up 3 minutes (healthy)`. */
  readonly Status: string
  /** Bytes in the container's own, writable layer; only when `size` was asked for. */
  readonly SizeRw?: number | undefined
  /** Bytes of all its layers together; only when `size` was asked for. */
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

/** Reads a container in a list. */
export const readContainer: Read<ContainerSummary> = (value, at) => {
  const { NetworkSettings, ImageManifestDescriptor, ...container } = readListed(value, at)
  const Networks = Object.keys(NetworkSettings.Networks)
  return { ...container, Networks, Platform: ImageManifestDescriptor?.platform }
}

/** What the API's `filters` take: values by filter name, such as `{ status: ['exited'] }`. */
export type Filters = Readonly<Record<string, readonly string[]>>

export interface ListOptions {
  /** Those that do not run, too. */
  readonly all?: boolean
  /** Measures the layers, which takes the engine a while. */
  readonly size?: boolean
  /** Only this many of the newest, running or not. */
  readonly limit?: number
  readonly filters?: Filters
  readonly signal?: AbortSignal
}

/** The containers of an engine, newest first. */
export async function listContainers(
  engine: Engine,
  { signal, ...query }: ListOptions = {},
): Promise<readonly ContainerSummary[]> {
  const containers = await engine.json(
    { path: '/containers/json', query, ...(signal && { signal }) },
    list(readContainer),
  )
  if (query.size !== true) return containers
  // The engine leaves out sizes that are zero.
  return containers.map((container) => Object.assign({ SizeRw: 0, SizeRootFs: 0 }, container))
}

/** The name that people use for a container: the one without the names that links gave it. */
export const containerName = ({ Id, Names }: ContainerSummary): string =>
  Names.find((name) => name.lastIndexOf('/') === 0)?.slice(1) ?? Id.slice(0, 12)

/** All about one container (ContainerInspect); what fleet reads of it is typed. */
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

/** All about the container called, or with an id that begins with, `container`. */
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
