/**
 * Parsers for engine responses. An engine is as untrusted as its host, so all fields that fleet uses are validated, and
 * all others are dropped.
 */

/**
 * A response that does not match the API. The message names the field and what is wrong with it. Never shown
 * without context.
 */
export class InvalidResponse extends Error {}

/** Validates a value of a response, or throws {@link InvalidResponse}. `at` is its path: `[0].Names`. */
export type Read<T> = (value: unknown, at: string) => T

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function invalid(value: unknown, at: string, wanted: string): InvalidResponse {
  return new InvalidResponse(
    `${at === '' ? 'the response body' : at} is ${kindOf(value)}, not ${wanted}`,
  )
}

/** Parses a value of a primitive type. */
const primitive =
  <T>(type: 'string' | 'boolean', wanted: string): Read<T> =>
  (value, at) => {
    if (typeof value !== type) throw invalid(value, at, wanted)
    return value as T
  }

export const text = primitive<string>('string', 'a string')
export const flag = primitive<boolean>('boolean', 'true or false')

export const number: Read<number> = (value, at) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw invalid(value, at, 'a number')
  return value
}

/** The latest time that a Date can hold, in Unix seconds. */
const latest = 8_640_000_000_000

/** Parses Unix seconds. */
export const moment: Read<number> = (value, at) => {
  const seconds = number(value, at)
  if (Math.abs(seconds) > latest) throw new InvalidResponse(`${at} is not a valid time`)
  return seconds
}

/** Parses an ID or a digest. It is used in requests and printed for programs, so other characters are rejected. */
export const id: Read<string> = (value, at) => {
  const found = text(value, at)
  if (!/^\w[\w:.+-]*$/.test(found)) throw new InvalidResponse(`${at} is not a valid ID`)
  return found
}

/** Parses a value that may be missing or null, as undefined. */
export const optional =
  <T>(read: Read<T>): Read<T | undefined> =>
  (value, at) =>
    value === undefined || value === null ? undefined : read(value, at)

/** Parses a value, with a default if it is missing or null. */
export const withDefault =
  <T>(read: Read<T>, fallback: T): Read<T> =>
  (value, at) =>
    value === undefined || value === null ? fallback : read(value, at)

export const list =
  <T>(read: Read<T>): Read<readonly T[]> =>
  (value, at) => {
    if (!Array.isArray(value)) throw invalid(value, at, 'an array')
    return value.map((item: unknown, index) => read(item, `${at}[${index}]`))
  }

/** Parses a list that the API may send as null when it is empty. */
export const listOrNull = <T>(read: Read<T>): Read<readonly T[]> => withDefault(list(read), [])

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Parses an object with any keys. */
export const record =
  <T>(read: Read<T>): Read<Readonly<Record<string, T>>> =>
  (value, at) => {
    if (!isObject(value)) throw invalid(value, at, 'an object')
    // Built with Object.fromEntries, which treats `__proto__` as an ordinary key.
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, read(item, `${at}.${name}`)]),
    )
  }

type Fields<T> = { readonly [Name in keyof T]-?: Read<T[Name]> }

function readFields<T>(fields: Fields<T>, value: unknown, at: string): Partial<T> {
  if (!isObject(value)) throw invalid(value, at, 'an object')
  const found: Partial<T> = {}
  for (const name of Object.keys(fields) as (keyof T & string)[]) {
    const own = Object.hasOwn(value, name) ? value[name] : undefined
    const field = fields[name](own, at === '' ? name : `${at}.${name}`)
    if (field !== undefined) found[name] = field
  }
  return found
}

/** Parses an object with the given fields, and drops all other fields. */
export const object =
  <T>(fields: Fields<T>): Read<T> =>
  (value, at) =>
    readFields(fields, value, at) as T

/** The maximum nesting depth of an object that is passed on, because writing it as JSON is recursive. */
const maxDepth = 200

function checkDepth(whole: unknown): void {
  let level = [whole]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > maxDepth)
      throw new InvalidResponse(`the response body is nested more than ${maxDepth} levels deep`)
    level = level.flatMap((value): unknown[] =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    )
  }
}

/** Validates the given fields of an object, and keeps all other fields unchanged. */
export const whole =
  <T>(fields: Fields<T>): Read<T & Readonly<Record<string, unknown>>> =>
  (value, at) => {
    readFields(fields, value, at)
    checkDepth(value)
    return value as T & Readonly<Record<string, unknown>>
  }

/** Accepts any value, for a response without a body. */
export const nothing: Read<void> = () => {}
