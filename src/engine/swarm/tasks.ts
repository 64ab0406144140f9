import { id, list, number, object, optional, text, withDefault } from '../answer.ts'
import type { Engine } from '../engine.ts'
import { type Version, idOrNone, readVersion } from './versions.ts'

/** A task of a service: one container on one node (Task). */
export interface Task {
  readonly ID: string
  readonly CreatedAt: string
  readonly ServiceID: string
  /** The number of the task in its service, counted from 1; absent or 0 for the tasks of global services. */
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
  /** Present for jobs only. */
  readonly JobIteration?: Version | undefined
}

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
  JobIteration: optional(readVersion),
})

/** The tasks to list. */
interface TaskFilter {
  /** Names or IDs of services; if absent, all services. */
  readonly services?: readonly string[]
  /** The ID of a node; if absent, all nodes. */
  readonly node?: string
  readonly signal?: AbortSignal
}

/** Lists tasks, including those that have ended (TaskList). */
export const listTasks = (
  engine: Engine,
  { services, node, signal }: TaskFilter,
): Promise<readonly Task[]> => {
  const filters = {
    ...(services !== undefined && { service: services }),
    ...(node !== undefined && { node: [node] }),
  }
  const query = Object.keys(filters).length === 0 ? {} : { query: { filters } }
  return engine.json({ path: '/tasks', ...query, ...(signal && { signal }) }, list(readTask))
}
