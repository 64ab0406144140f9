import { moment, number, object, optional, record, text, whole, withDefault } from './answer.ts'
import type { Filters } from './containers.ts'
import type { Engine } from './engine.ts'

/** Information about an engine and its host (SystemInfo). */
export interface SystemInfo {
  readonly Name: string
  readonly ServerVersion: string
  readonly OperatingSystem: string
  readonly OSType: string
  readonly Architecture: string
  readonly KernelVersion: string
  readonly NCPU: number
  /** In bytes. */
  readonly MemTotal: number
  readonly Containers: number
  readonly ContainersRunning: number
  readonly ContainersPaused: number
  readonly ContainersStopped: number
  readonly Images: number
  /** The storage driver: `overlay2`, … */
  readonly Driver: string
  /** The current time on the engine's clock, in RFC 3339 format. */
  readonly SystemTime?: string | undefined
}

const readInfoAnswer = object<SystemInfo>({
  Name: withDefault(text, ''),
  ServerVersion: withDefault(text, ''),
  OperatingSystem: withDefault(text, ''),
  OSType: withDefault(text, ''),
  Architecture: withDefault(text, ''),
  KernelVersion: withDefault(text, ''),
  NCPU: withDefault(number, 0),
  MemTotal: withDefault(number, 0),
  Containers: number,
  ContainersRunning: number,
  ContainersPaused: withDefault(number, 0),
  ContainersStopped: withDefault(number, 0),
  Images: number,
  Driver: withDefault(text, ''),
  SystemTime: optional(text),
})

/** Reads information about an engine and its host. */
export const readInfo = (engine: Engine, signal?: AbortSignal): Promise<SystemInfo> =>
  engine.json({ path: '/info', ...(signal && { signal }) }, readInfoAnswer)

/** The versions of an engine (SystemVersion). */
export interface EngineVersion {
  readonly Version: string
  readonly ApiVersion: string
  readonly Os: string
  readonly Arch: string
  readonly KernelVersion?: string | undefined
}

const readVersionAnswer = object<EngineVersion>({
  Version: text,
  ApiVersion: text,
  Os: text,
  Arch: text,
  KernelVersion: optional(text),
})

/** Reads the versions of an engine, with the operating system and architecture in Docker's terms. */
export const readVersion = (engine: Engine, signal?: AbortSignal): Promise<EngineVersion> =>
  engine.json({ path: '/version', ...(signal && { signal }) }, readVersionAnswer)

/** An event of an engine (SystemEvents). */
export interface EngineEvent {
  /** `container`, `image`, `network`, `volume`, … */
  readonly Type: string
  /** `start`, `die`, `pull`, … */
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
  /** Unix seconds. */
  readonly time: number
  /** Unix nanoseconds, rounded to the precision of a number. */
  readonly timeNano: number
}

const readEvent = whole<EngineEvent>({
  Type: text,
  Action: text,
  Actor: object<EngineEvent['Actor']>({
    ID: text,
    Attributes: record(text),
  }),
  time: moment,
  timeNano: number,
})

export interface EventOptions {
  /** Unix times, in the format of `unixTime`. If both are absent, new events are streamed indefinitely. */
  readonly since?: string
  readonly until?: string
  readonly filters?: Filters
  readonly signal?: AbortSignal
}

/** Streams the events of an engine as they happen. The stream ends at `until`. */
export async function* streamEvents(
  engine: Engine,
  { signal, ...query }: EventOptions = {},
): AsyncGenerator<EngineEvent, void> {
  yield* engine.lines({ path: '/events', query, ...(signal && { signal }) }, readEvent)
}

/** A login to a registry. Secret. */
export interface RegistryLogin {
  /** The registry, as docker's configuration names it. */
  readonly registry: string
  readonly user: string
  readonly password: string
}

/**
 * Makes an engine log in to a registry, using the engine's certificates and settings (SystemAuth). Resolves to the
 * token that replaces the password, or to an empty string. Throws kind `failed` if the registry rejects the login.
 */
export async function checkLogin(
  engine: Engine,
  { registry, user, password }: RegistryLogin,
  signal: AbortSignal,
): Promise<string> {
  const body = { username: user, password, serveraddress: registry }
  const { IdentityToken } = await engine.json(
    { method: 'POST', path: '/auth', body, signal },
    object<{ readonly IdentityToken: string }>({ IdentityToken: withDefault(text, '') }),
  )
  return IdentityToken
}
