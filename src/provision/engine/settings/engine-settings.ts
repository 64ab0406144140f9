import type { DaemonConfig } from '../../../machine/engine-spec.ts'

/** The engine settings that an entry specifies, with the contents of the files that it refers to. */
export interface EngineSettings {
  /** Keys of daemon.json; `null` removes a key. */
  readonly config: DaemonConfig
  /** Items to add to lists in daemon.json; existing items on the host are kept. */
  readonly listed: Readonly<Record<ListKey, readonly string[]>>
  /** Environment variables; `null` removes a variable. */
  readonly environment: Readonly<Record<string, string | null>>
  /** CA certificates in PEM format, keyed by the registry's `HOST` or `HOST:PORT`. */
  readonly certificates: Readonly<Record<string, string>>
}

/** Lists in daemon.json to which `registries:` adds items. */
type ListKey = 'insecure-registries' | 'registry-mirrors'

/** Whether there is nothing to configure. */
export const isEmpty = ({ config, listed, environment, certificates }: EngineSettings): boolean =>
  [config, environment, certificates].every((some) => Object.keys(some).length === 0) &&
  Object.values(listed).every((items) => items.length === 0)

/** How a change takes effect, ordered from the least to the most disruptive. */
export type Effect = 'live' | 'restart' | 'destructive'

const effectOrder: readonly Effect[] = ['live', 'restart', 'destructive']

/** Returns the most disruptive of the given effects. */
export const worstOf = (effects: readonly Effect[]): Effect =>
  effects.reduce<Effect>((a, b) => (isWorse(b, a) ? b : a), 'live')

/** Whether `effect` is more disruptive than `than`. */
export const isWorse = (effect: Effect, than: Effect): boolean =>
  effectOrder.indexOf(effect) > effectOrder.indexOf(than)

/** One setting of the engine that differs from the entry. */
export interface SettingChange {
  /** The name of the setting: `log-opts.max-size`, `environment.HTTP_PROXY`, `CA of reg.example.com:5000`. */
  readonly option: string
  /** The value on the host, as text; `not set` if there is none. */
  readonly from: string
  readonly to: string
  readonly effect: Effect
}
