import type { DaemonConfig } from '../../../machine/engine-spec.ts'

/** What a host's engine is to be configured with: the settings of an entry, with the content of its files. */
export interface EngineSettings {
  /** Keys of daemon.json; `null` removes a key. */
  readonly config: DaemonConfig
  /** Items that lists of daemon.json must have, besides the items on the host. */
  readonly listed: Readonly<Record<ListKey, readonly string[]>>
  /** Environment variables; `null` removes a variable. */
  readonly environment: Readonly<Record<string, string | null>>
  /** CA certificates in PEM, by `HOST` or `HOST:PORT` of the registry. */
  readonly certificates: Readonly<Record<string, string>>
}

/** Lists of daemon.json that `registries:` adds items to. */
type ListKey = 'insecure-registries' | 'registry-mirrors'

/** Whether nothing is to be configured. */
export const isEmpty = ({ config, listed, environment, certificates }: EngineSettings): boolean =>
  [config, environment, certificates].every((some) => Object.keys(some).length === 0) &&
  Object.values(listed).every((items) => items.length === 0)

/** How a change takes effect, from the mildest to the most severe. */
export type Effect = 'live' | 'restart' | 'destructive'

const severity: readonly Effect[] = ['live', 'restart', 'destructive']

/** The most severe effect of some changes. */
export const worstOf = (effects: readonly Effect[]): Effect =>
  effects.reduce<Effect>((a, b) => (isWorse(b, a) ? b : a), 'live')

/** Whether an effect is more severe than another one. */
export const isWorse = (effect: Effect, than: Effect): boolean =>
  severity.indexOf(effect) > severity.indexOf(than)

/** One setting of the engine that differs from the entry. */
export interface SettingChange {
  /** `log-opts.max-size`, `environment HTTP_PROXY`, `CA of reg.example.com:5000` */
  readonly option: string
  /** The value on the host, as text; `not set` if there is none. */
  readonly from: string
  readonly to: string
  readonly effect: Effect
}
