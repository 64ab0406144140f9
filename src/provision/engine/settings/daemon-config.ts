import { isDeepStrictEqual } from 'node:util'
import { UserError } from '../../../errors.ts'
import { printable } from '../../../machine/hidden-characters.ts'
import type { DaemonConfig, Json } from '../../../machine/engine-spec.ts'
import type { Effect, EngineSettings, SettingChange } from './engine-settings.ts'

type JsonObject = { readonly [key: string]: Json }

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Maximum nesting of a daemon.json, in levels. */
const maxDepth = 64

const isTooDeep = (value: Json, depth = 0): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (depth >= maxDepth || Object.values(value).some((item: Json) => isTooDeep(item, depth + 1)))

/**
 * Parses the daemon.json of a host; an empty file counts as no settings, as in dockerd. Throws kind `failed` if it is
 * not a JSON object, or if it contains numbers that would lose digits, since such a file cannot be rewritten without
 * changing other keys.
 */
export function parseDaemonConfig(text: string, file: string): DaemonConfig {
  if (text.trim() === '') return {}
  const damaged = (why: string, cause?: unknown): UserError =>
    new UserError('failed', `${file} on the host ${why}`, {
      hint: 'correct the file on the host by hand; fleet does not change a file that it cannot read',
      cause,
    })
  let value: Json
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, '')) as Json
  } catch (error) {
    throw damaged(`is not valid JSON: ${printable((error as Error).message, 120)}`, error)
  }
  if (!isObject(value)) throw damaged('is not a JSON object')
  if (isTooDeep(value)) throw damaged(`is nested more than ${maxDepth} levels deep`)
  if (text.includes('\uFFFD')) throw damaged('is not valid UTF-8')
  const withoutStrings = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
  if (/\d{16}/.test(withoutStrings)) throw damaged('has a number with more than 15 digits')
  return value
}

/** Sets the named keys of an object, at every level; `null` removes a key. Other keys and their order are kept. */
function mergeObjects(current: JsonObject, wanted: JsonObject): JsonObject {
  const merged = new Map(Object.entries(current))
  for (const [key, value] of Object.entries(wanted)) {
    const before = merged.get(key)
    if (value === null) merged.delete(key)
    else if (isObject(value)) merged.set(key, mergeObjects(isObject(before) ? before : {}, value))
    else merged.set(key, value)
  }
  return Object.fromEntries(merged)
}

/** Merges an entry's settings into the settings in a host's daemon.json. */
export function mergeDaemonConfig(
  current: DaemonConfig,
  { config, listed }: Pick<EngineSettings, 'config' | 'listed'>,
): DaemonConfig {
  const merged = new Map(Object.entries(mergeObjects(current, config)))
  for (const [key, items] of Object.entries(listed)) {
    const there = merged.get(key)
    const known = Array.isArray(there) ? (there as readonly Json[]) : []
    const added = items.filter((item) => !known.includes(item) && !known.includes(`${item}/`))
    if (added.length > 0) merged.set(key, [...known, ...added])
  }
  return Object.fromEntries(merged)
}

/** Returns the text of daemon.json, with the same indentation as before. */
export function formatDaemonConfig(config: DaemonConfig, before: string): string {
  const [, indent = '  '] = /^\s*\{\s*?\n([ \t]+)"/.exec(before) ?? []
  return `${JSON.stringify(config, undefined, indent)}\n`
}

/** Keys that dockerd reads again on SIGHUP: docs.docker.com/reference/cli/dockerd, "Configuration reload behavior". */
const liveKeys = new Set([
  ...['debug', 'labels', 'live-restore', 'shutdown-timeout', 'features'],
  ...['max-concurrent-downloads', 'max-concurrent-uploads', 'max-download-attempts'],
  ...['default-runtime', 'runtimes', 'authorization-plugins'],
  ...['insecure-registries', 'registry-mirrors', 'allow-nondistributable-artifacts'],
])

/** Settings of the running engine, including those that daemon.json does not set. */
export interface EngineInUse {
  readonly storageDriver?: string | undefined
  readonly dataRoot?: string | undefined
}

/**
 * Returns how a change to one key takes effect. With another storage driver, image store or data directory, the engine
 * no longer finds its images and containers. A key that is removed keeps its old value until a restart.
 */
function effectOf(
  path: readonly string[],
  to: Json | undefined,
  { storageDriver, dataRoot }: EngineInUse,
): Effect {
  const [key = '', inner] = path
  if (key === 'storage-driver') return to !== storageDriver ? 'destructive' : 'restart'
  if (key === 'data-root') {
    const directory = typeof to === 'string' ? to.replace(/(?<=.)\/+$/, '') : to
    return directory !== dataRoot ? 'destructive' : 'restart'
  }
  if (key === 'userns-remap') return 'destructive'
  if (key === 'features' && inner === 'containerd-snapshotter') return 'destructive'
  return liveKeys.has(key) && to !== undefined ? 'live' : 'restart'
}

/** Maximum length of a displayed value, in characters. */
const longestValue = 200

/** Formats a value as text. The login in a URL is hidden. */
export function describeValue(value: Json | undefined): string {
  if (value === undefined) return 'not set'
  const text = typeof value === 'string' && /^[^\s",]+$/.test(value) ? value : JSON.stringify(value)
  const hidden = text.replaceAll(/(\w:\/\/)[^\s/@"]+@/g, '$1***@')
  return printable(hidden.length > longestValue ? `${hidden.slice(0, longestValue)}…` : hidden, 999)
}

/** Returns the differences between two values, each with its path. Objects are compared key by key. */
function differences(
  from: Json | undefined,
  to: Json | undefined,
  path: readonly string[],
): readonly { path: readonly string[]; from: Json | undefined; to: Json | undefined }[] {
  if (isDeepStrictEqual(from, to)) return []
  if (isObject(to) && (from === undefined || isObject(from)) && Object.keys(to).length > 0) {
    return [...new Set([...Object.keys(from ?? {}), ...Object.keys(to)])].flatMap((key) =>
      differences(ownValue(from ?? {}, key), ownValue(to, key), [...path, key]),
    )
  }
  return [{ path, from, to }]
}

const ownValue = (value: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(value, key) ? value[key] : undefined

/**
 * Returns the changes that result from replacing a host's settings with `merged`, a result of
 * {@link mergeDaemonConfig}.
 */
export const compareDaemonConfig = (
  current: DaemonConfig,
  merged: DaemonConfig,
  inUse: EngineInUse,
): readonly SettingChange[] =>
  differences(current, merged, []).map(({ path, from, to }) => ({
    option: path.join('.'),
    from: describeValue(from),
    to: describeValue(to),
    effect: effectOf(path, to, inUse),
  }))

/** Returns the settings without the keys whose changes would be destructive. */
export function withoutDestructive(
  current: DaemonConfig,
  settings: EngineSettings,
  inUse: EngineInUse,
): EngineSettings {
  const changes = compareDaemonConfig(current, mergeDaemonConfig(current, settings), inUse)
  const dropped = new Set(
    changes
      .filter(({ effect }) => effect === 'destructive')
      .map(({ option }) => option.split('.')[0] ?? ''),
  )
  const config = Object.fromEntries(
    Object.entries(settings.config).filter(([key]) => !dropped.has(key)),
  )
  return { ...settings, config }
}
