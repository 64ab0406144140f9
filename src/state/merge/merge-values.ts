import { isDeepStrictEqual } from 'node:util'
import { isObject } from '../yaml/render.ts'

type Values = Readonly<Record<string, unknown>>

/** What came of merging values, and where two sides want different things, as `host.id`. */
export interface MergedValues {
  readonly value: unknown
  readonly conflicts: readonly string[]
}

/** Facts of a host that are looked up again anyway: any side's will do. */
const lookedUpAgain = new Set(['address', 'os', 'arch', 'engine'].map((key) => `host.${key}`))

const valueOf = (value: unknown, key: string): unknown =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined

/** The keys of both sides, in the order of ours, those of theirs alone behind. */
const keysOf = (ours: Values, theirs: Values): readonly string[] => [
  ...new Set([...Object.keys(ours), ...Object.keys(theirs)]),
]

/**
 * Merges what two sides made of a value, key by key. What only one side changed is taken; `undefined` stands for
 * what is not there. Where both changed it, and not to the same, it is a conflict and ours stands.
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
  return { value: ours, conflicts: lookedUpAgain.has(place) ? [] : [place] }
}

/** Whether a side changed nothing but facts of the host that are looked up again anyway. */
export const onlyVolatile = (before: unknown, after: unknown): boolean => {
  const [a, b] = [before, after].map((value) => ({
    ...(value as Values),
    host: withoutFacts(valueOf(value, 'host')),
  }))
  return isDeepStrictEqual(a, b)
}

const withoutFacts = (host: unknown): unknown =>
  isObject(host)
    ? Object.fromEntries(Object.entries(host).filter(([key]) => !lookedUpAgain.has(`host.${key}`)))
    : host
