import type { ContainerStats } from '../../engine/stats.ts'
import type { LogEntry } from '../fan-out/read-logs.ts'
import type { ServiceRow, TaskRow } from '../services/list-services.ts'

/** A container, with those parts of the engine's answer that are shown. */
export interface TopContainer {
  readonly id: string
  readonly name: string
  readonly image: string
  readonly imageId: string
  /** The state: `running`, `exited` and so on. */
  readonly state: string
  /** The status as text, such as `Up 3 minutes`. */
  readonly status: string
  /** The result of the health check; empty if there is none. */
  readonly health: '' | 'healthy' | 'unhealthy' | 'starting'
  /** The Compose project and service, if any. */
  readonly stack: string
  readonly service: string
  /** Compose's hash of the configuration with which the container was created; empty without Compose. */
  readonly hash: string
  /**
   * Whether the container is never started, and only serves as fleet's marker for an unfinished deployment of its
   * stack.
   */
  readonly isUnfinishedMark: boolean
}

/** An image. Sizes are in bytes; `shared` is undefined if the engine did not measure it. */
export interface TopImage {
  readonly id: string
  /** The names, including tags; empty for a dangling image. */
  readonly names: readonly string[]
  readonly size: number
  readonly shared: number | undefined
  /** The creation time in Unix seconds. */
  readonly created: number
}

/** Measurements of a host. Sizes are in bytes. */
export interface HostFigures {
  /** The load average over the last minute. */
  readonly load: number
  /** The used share of all processors, from 0 to 1; undefined in the first reading. */
  readonly cpu: number | undefined
  readonly memory: { readonly used: number; readonly total: number }
  /** The file system that contains the engine's data. */
  readonly disk: { readonly used: number; readonly total: number } | undefined
}

/** The disk usage of an engine in bytes, by kind. */
export interface DiskParts {
  readonly images: number
  readonly containers: number
  readonly volumes: number
  readonly cache: number
}

/** An event of an engine. */
export interface TopEvent {
  /** A counter value that identifies the event. */
  readonly id: number
  readonly machine: string
  /** The time of the event in Unix seconds. */
  readonly time: number
  readonly type: string
  readonly action: string
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
}

/** The details of a target, ready to be shown. */
export type Details =
  | { readonly kind: 'json'; readonly lines: readonly string[] }
  | {
      readonly kind: 'layers'
      readonly lines: readonly string[]
      readonly layers: readonly {
        readonly size: number
        readonly text: string
        readonly shared: boolean
      }[]
    }

/** The tasks of the service with the ID `service`. */
export interface ServiceTasks {
  readonly service: string
  readonly rows: readonly TaskRow[]
}

/**
 * An update about a machine or a swarm. `at` is the time according to this computer's clock, in milliseconds since
 * 1970.
 */
export type Update =
  | {
      readonly kind: 'connected'
      readonly machine: string
      readonly engine: string
      readonly processors: number
      readonly at: number
    }
  | {
      readonly kind: 'lost'
      readonly machine: string
      readonly reason: string
      readonly isHost: boolean
    }
  | {
      readonly kind: 'containers'
      readonly machine: string
      readonly containers: readonly TopContainer[]
      readonly at: number
    }
  | {
      readonly kind: 'images'
      readonly machine: string
      readonly images: readonly TopImage[]
      readonly at: number
    }
  | {
      readonly kind: 'figures'
      readonly machine: string
      readonly figures: HostFigures
      readonly at: number
    }
  | { readonly kind: 'answered'; readonly machine: string; readonly at: number }
  | {
      readonly kind: 'services'
      readonly swarm: string
      readonly services: readonly ServiceRow[]
      /** The tasks of the service whose details are shown. */
      readonly tasks: ServiceTasks | undefined
      readonly at: number
    }
  | { readonly kind: 'swarm-lost'; readonly swarm: string; readonly reason: string }
  | { readonly kind: 'disk'; readonly machine: string; readonly parts: DiskParts }
  | {
      readonly kind: 'stats'
      readonly machine: string
      readonly container: string
      readonly stats: ContainerStats
      readonly restarts: number | undefined
    }
  | { readonly kind: 'event'; readonly event: TopEvent }
  | { readonly kind: 'logs'; readonly entries: readonly LogEntry[] }
  | { readonly kind: 'details'; readonly of: string; readonly details: Details }
