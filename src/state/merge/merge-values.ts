import { isDeepStrictEqual } from 'node:util'
import { isObject } from '../yaml/render.ts'

type Values = Readonly<Record<string, unknown>>

/** A merged value, and the paths of conflicts, such as `host.id`. */
export interface MergedValues {
  readonly value: unknown
  readonly conflicts: readonly string[]
}

/** Volatile facts of a host. Either side's value may be used, because the facts are looked up again. */
const volatileFacts = new Set(['address', 'os', 'arch', 'engine'].map((key) => `host.${key}`))

const valueOf = (value: unknown, key: string): unknown =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined

/** Returns the keys of both sides: our keys in order, followed by the keys that only their side has. */
const keysOf = (ours: Values, theirs: Values): readonly string[] => [
  ...new Set([...Object.keys(ours), ...Object.keys(theirs)]),
]

/**
 * Merges a value key by key; `undefined` means that it does not exist. If both sides changed it
 * differently, our value is used and the path is reported as a conflict.
 */
export function mergeValues(
  base: unknown,
  ours: unknown,
  theirs: unknown,
  path: readonly string[] = [],
): MergedValues {
  if (isDeepStrictEqual(ours, theirs) || isDeepStrictEqual(base, theirs)) {
    return { value: ours, conflicts: [] }
  }
  if (isDeepStrictEqual(base, ours)) return { value: theirs, conflicts: [] }
  if (isObject(ours) && isObject(theirs)) {
    const merged = keysOf(ours, theirs).map((key) => ({
      key,
      ...mergeValues(valueOf(base, key), ours[key], theirs[key], [...path, key]),
    }))
    const kept = merged.filter(({ value }) => value !== undefined)
    return {
      value: Object.fromEntries(kept.map(({ key, value }) => [key, value])),
      conflicts: merged.flatMap(({ conflicts }) => conflicts),
    }
  }
  const place = path.join('.')
  return { value: ours, conflicts: volatileFacts.has(place) ? [] : [place] }
}

/** Whether only volatile facts of the host differ. */
export const onlyVolatile = (before: unknown, after: unknown): boolean => {
  const [a, b] = [before, after].map((value) => ({
    ...(value as Values),
    host: withoutFacts(valueOf(value, 'host')),
  }))
  return isDeepStrictEqual(a, b)
}

const withoutFacts = (host: unknown): unknown =>
  isObject(host)
    ? Object.fromEntries(Object.entries(host).filter(([key]) => !volatileFacts.has(`host.${key}`)))
    : host
