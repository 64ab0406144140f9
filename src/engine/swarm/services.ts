import { UserError } from '../../errors.ts'
import {
  id,
  list,
  listOrNull,
  nothing,
  number,
  object,
  optional,
  record,
  text,
  whole,
  withDefault,
} from '../answer.ts'
import type { Engine } from '../engine.ts'
import { type Version, readVersion, sendUpdate } from './versions.ts'

/** The specification of a service's containers (TaskSpec.ContainerSpec). */
interface ContainerSpec {
  readonly Image?: string | undefined
  readonly Env?: readonly string[] | undefined
}

/** The specification of a service's tasks (TaskSpec). Fields unknown to fleet are kept. */
interface TaskTemplate {
  readonly ContainerSpec?: ContainerSpec | undefined
  readonly Placement?: { readonly Constraints?: readonly string[] | undefined } | undefined
  /** A counter. Changing it replaces all tasks. */
  readonly ForceUpdate?: number | undefined
}

/** The mode of a service, with the number of its tasks (ServiceSpec.Mode). Exactly one of the fields is set. */
interface ServiceMode {
  readonly Replicated?: { readonly Replicas?: number | undefined } | undefined
  readonly Global?: object | undefined
  readonly ReplicatedJob?: { readonly TotalCompletions?: number | undefined } | undefined
  readonly GlobalJob?: object | undefined
}

/** The desired state of a service (ServiceSpec). Fields unknown to fleet are kept. */
export interface ServiceSpec {
  readonly Name: string
  readonly Labels?: Readonly<Record<string, string>> | undefined
  readonly TaskTemplate: TaskTemplate
  readonly Mode?: ServiceMode | undefined
  readonly UpdateConfig?: { readonly Monitor?: number | undefined } | undefined
}

/** A service of a swarm (Service). */
export interface Service {
  readonly ID: string
  readonly Version: Version
  readonly CreatedAt: string
  readonly UpdatedAt: string
  readonly Spec: ServiceSpec
  /** Absent if the service was never updated. */
  readonly PreviousSpec?: ServiceSpec | undefined
  readonly Endpoint: {
    readonly Ports: readonly {
      readonly Protocol: string
      readonly TargetPort: number
      readonly PublishedPort: number
    }[]
  }
  /** Absent if no tasks had to be replaced. */
  readonly UpdateStatus?:
    | {
        /** `updating`, `paused`, `completed`, `rollback_started`, `rollback_paused` or `rollback_completed`. */
        readonly State: string
        readonly Message: string
      }
    | undefined
  /** Present for jobs only. */
  readonly JobStatus?: { readonly JobIteration: Version } | undefined
  /** Present only in lists. */
  readonly ServiceStatus?:
    | {
        readonly RunningTasks: number
        readonly DesiredTasks: number
        readonly CompletedTasks: number
      }
    | undefined
}

const anything = (value: unknown): object => value as object

const readSpec = whole<ServiceSpec>({
  Name: text,
  Labels: optional(record(text)),
  TaskTemplate: object<TaskTemplate>({
    ContainerSpec: optional(
      object<ContainerSpec>({ Image: optional(text), Env: optional(list(text)) }),
    ),
    Placement: optional(
      object<{ readonly Constraints?: readonly string[] | undefined }>({
        Constraints: optional(list(text)),
      }),
    ),
    ForceUpdate: optional(number),
  }),
  Mode: optional(
    object<ServiceMode>({
      Replicated: optional(object({ Replicas: optional(number) })),
      Global: optional(anything),
      ReplicatedJob: optional(object({ TotalCompletions: optional(number) })),
      GlobalJob: optional(anything),
    }),
  ),
  UpdateConfig: optional(object({ Monitor: optional(number) })),
})

type Port = Service['Endpoint']['Ports'][number]
type Status = NonNullable<Service['ServiceStatus']>

const readService = object<Service>({
  ID: id,
  Version: readVersion,
  CreatedAt: withDefault(text, ''),
  UpdatedAt: withDefault(text, ''),
  Spec: readSpec,
  PreviousSpec: optional(readSpec),
  Endpoint: withDefault(
    object<Service['Endpoint']>({
      Ports: listOrNull(
        object<Port>({
          Protocol: withDefault(text, 'tcp'),
          TargetPort: withDefault(number, 0),
          PublishedPort: withDefault(number, 0),
        }),
      ),
    }),
    { Ports: [] },
  ),
  UpdateStatus: optional(
    object<NonNullable<Service['UpdateStatus']>>({
      State: withDefault(text, ''),
      Message: withDefault(text, ''),
    }),
  ),
  JobStatus: optional(
    object<NonNullable<Service['JobStatus']>>({
      JobIteration: withDefault(readVersion, { Index: 0 }),
    }),
  ),
  ServiceStatus: optional(
    object<Status>({
      RunningTasks: withDefault(number, 0),
      DesiredTasks: withDefault(number, 0),
      CompletedTasks: withDefault(number, 0),
    }),
  ),
})

/** The label of the services, configs, secrets and networks of a stack (`docker stack deploy`). */
export const stackLabel = 'com.docker.stack.namespace'

/** Lists the services of a swarm, or of one of its stacks (ServiceList). */
export const listServices = (
  engine: Engine,
  { stack, signal }: { readonly stack?: string; readonly signal?: AbortSignal } = {},
): Promise<readonly Service[]> =>
  engine.json(
    {
      path: '/services',
      query: {
        status: true,
        ...(stack !== undefined && { filters: { label: [`${stackLabel}=${stack}`] } }),
      },
      ...(signal && { signal }),
    },
    list(readService),
  )

/** Inspects a service by its name or ID (ServiceInspect). */
export const inspectService = (
  engine: Engine,
  service: string,
  signal: AbortSignal,
): Promise<Service> =>
  engine.json({ path: `/services/${encodeURIComponent(service)}`, signal }, readService)

/** Sends an update for the newest version of a service, and retries if another update came first. */
async function sendServiceUpdate(
  engine: Engine,
  service: string,
  change: (service: Service) => { readonly spec: ServiceSpec; readonly rollback?: true },
  signal: AbortSignal,
): Promise<void> {
  await sendUpdate(async () => {
    const found = await inspectService(engine, service, signal)
    const { spec, rollback } = change(found)
    const request = {
      path: `/services/${found.ID}/update`,
      query: {
        ...{ version: found.Version.Index, registryAuthFrom: 'spec' },
        ...(rollback && { registryAuthFrom: 'previous-spec', rollback: 'previous' }),
      },
    }
    await engine.json({ method: 'POST', ...request, body: spec, signal }, nothing)
  })
}

/** Changes a service (ServiceUpdate). `change` receives the current spec. The service keeps its registry login. */
export const updateService = (
  engine: Engine,
  service: string,
  change: (spec: ServiceSpec) => ServiceSpec,
  signal: AbortSignal,
): Promise<void> =>
  sendServiceUpdate(engine, service, ({ Spec }) => ({ spec: change(Spec) }), signal)

/**
 * Rolls a service back to the state before its last update (ServiceUpdate). Throws kind `failed` if it was never
 * updated.
 */
export const rollBackService = (
  engine: Engine,
  service: string,
  signal: AbortSignal,
): Promise<void> =>
  sendServiceUpdate(
    engine,
    service,
    ({ Spec, PreviousSpec }) => {
      if (PreviousSpec === undefined) {
        throw new UserError(
          'failed',
          `service ${Spec.Name} has no previous version to roll back to`,
        )
      }
      return { spec: Spec, rollback: true }
    },
    signal,
  )

/** Removes a service and its tasks (ServiceDelete). */
export const removeService = (
  engine: Engine,
  service: string,
  signal: AbortSignal,
): Promise<void> =>
  engine.json(
    { method: 'DELETE', path: `/services/${encodeURIComponent(service)}`, signal },
    nothing,
  )

/**
 * Reads the digest of an image in its registry, as a manager sees it (DistributionInspect). Throws if there is no such
 * image.
 */
export async function findImageDigest(
  engine: Engine,
  image: string,
  signal: AbortSignal,
): Promise<string> {
  const { Descriptor } = await engine.json(
    { path: `/distribution/${encodeURI(image)}/json`, signal },
    object<{ readonly Descriptor: { readonly digest: string } }>({
      Descriptor: object<{ readonly digest: string }>({ digest: id }),
    }),
  )
  return Descriptor.digest
}
