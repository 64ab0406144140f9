import { type Read, id, list, number, object, optional, text, withDefault } from '../answer.ts'
import type { Engine } from '../engine.ts'

/** A task of a service: one container on one node (Task). */
export interface Task {
  readonly ID: string
  readonly CreatedAt: string
  readonly ServiceID: string
  /** Counts from 1; absent or 0 for the tasks of global services. */
  readonly Slot?: number | undefined
  /** Absent until the task is assigned to a node. */
  readonly NodeID?: string | undefined
  /** `running` for tasks that should run; `ready` until their predecessor has stopped. */
  readonly DesiredState: string
  readonly Spec: { readonly ContainerSpec?: { readonly Image?: string | undefined } | undefined }
  readonly Status: {
    readonly State: string
    readonly Timestamp: string
    /** Why the task failed, or cannot run yet. */
    readonly Err: string
    readonly ContainerStatus?:
      | { readonly ContainerID?: string | undefined; readonly ExitCode?: number | undefined }
      | undefined
  }
  /** Of jobs. */
  readonly JobIteration?: { readonly Index: number } | undefined
}

/** An ID of an answer that is empty if there is none. */
const idOrNone: Read<string | undefined> = (value, at) =>
  value === undefined || value === null || value === '' ? undefined : id(value, at)

const readTask = object<Task>({
  ID: id,
  CreatedAt: withDefault(text, ''),
  ServiceID: withDefault(text, ''),
  Slot: optional(number),
  NodeID: idOrNone,
  DesiredState: withDefault(text, ''),
  Spec: withDefault(
    object<Task['Spec']>({
      ContainerSpec: optional(object<{ Image?: string | undefined }>({ Image: optional(text) })),
    }),
    {},
  ),
  Status: withDefault(
    object<Task['Status']>({
      State: withDefault(text, ''),
      Timestamp: withDefault(text, ''),
      Err: withDefault(text, ''),
      ContainerStatus: optional(
        object<NonNullable<Task['Status']['ContainerStatus']>>({
          ContainerID: idOrNone,
          ExitCode: optional(number),
        }),
      ),
    }),
    { State: '', Timestamp: '', Err: '' },
  ),
  JobIteration: optional(object<{ readonly Index: number }>({ Index: withDefault(number, 0) })),
})

/** Lists the tasks of services, also those that have ended (TaskList). `services`: names or IDs; absent: all. */
export const listTasks = (
  engine: Engine,
  { services, signal }: { readonly services?: readonly string[]; readonly signal?: AbortSignal },
): Promise<readonly Task[]> =>
  engine.json(
    {
      path: '/tasks',
      ...(services !== undefined && { query: { filters: { service: services } } }),
      ...(signal && { signal }),
    },
    list(readTask),
  )
