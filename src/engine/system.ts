import type { Filters } from './containers.ts'
import type { Engine } from './engine.ts'
import { readJsonLines } from './lines.ts'

/** About an engine and its host (SystemInfo); the engine gives more. */
export interface SystemInfo {
  readonly Name: string
  readonly ServerVersion: string
  readonly OperatingSystem: string
  readonly OSType: string
  readonly Architecture: string
  readonly KernelVersion: string
  readonly NCPU: number
  /** Bytes. */
  readonly MemTotal: number
  readonly Containers: number
  readonly ContainersRunning: number
  readonly ContainersPaused: number
  readonly ContainersStopped: number
  readonly Images: number
  /** How layers are stored: `overlay2`, … */
  readonly Driver: string
}

/** About an engine and its host. */
export const readInfo = (engine: Engine, signal?: AbortSignal): Promise<SystemInfo> =>
  engine.json({ path: '/info', ...(signal && { signal }) })

/** Versions of an engine (SystemVersion); the engine gives more. */
export interface EngineVersion {
  readonly Version: string
  readonly ApiVersion: string
  readonly Os: string
  readonly Arch: string
  readonly KernelVersion?: string
}

/** Versions of an engine, with operating system and processor in Docker's terms. */
export const readVersion = (engine: Engine, signal?: AbortSignal): Promise<EngineVersion> =>
  engine.json({ path: '/version', ...(signal && { signal }) })

/** Something that happened on an engine (SystemEvents). */
export interface EngineEvent {
  /** `container`, `image`, `network`, `volume`, … */
  readonly Type: string
  /** `start`, `die`, `pull`, … */
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
  /** Unix seconds. */
  readonly time: number
  /** Unix nanoseconds, rounded to what a number holds. */
  readonly timeNano: number
}

export interface EventOptions {
  /** Unix times, as `unixTime` gives them. With neither, events begin now and go on. */
  readonly since?: string
  readonly until?: string
  readonly filters?: Filters
  readonly signal?: AbortSignal
}

/** What happens on an engine, as it happens; ends at `until`. */
export async function* streamEvents(
  engine: Engine,
  { signal, ...query }: EventOptions = {},
): AsyncGenerator<EngineEvent, void> {
  const { body } = await engine.stream({ path: '/events', query, ...(signal && { signal }) })
  yield* readJsonLines<EngineEvent>(body)
}
