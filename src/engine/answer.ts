/**
 * Readers of what an engine answers. An engine is what its host says it is: whatever comes is checked before it is used, and
 * only what fleet knows is taken over.
 */

/** Thrown inside where an answer is not what the API says; its message tells the place and the oddity. */
export class OddAnswer extends Error {}

/** Takes a value of an answer for what it should be, or throws {@link OddAnswer}. `at` is its place: `[0].Names`. */
export type Read<T> = (value: unknown, at: string) => T

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function odd(value: unknown, at: string, wanted: string): OddAnswer {
  return new OddAnswer(`${at === '' ? 'it' : at} is ${kindOf(value)}, not ${wanted}`)
}

/** A value of one of the primitive types. */
const primitive =
  <T>(type: 'string' | 'boolean', wanted: string): Read<T> =>
  (value, at) => {
    if (typeof value !== type) throw odd(value, at, wanted)
    return value as T
  }

export const text = primitive<string>('string', 'a text')
export const flag = primitive<boolean>('boolean', 'true or false')

export const number: Read<number> = (value, at) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw odd(value, at, 'a number')
  return value
}

/** The latest moment that a Date can hold, in seconds. */
const latest = 8_640_000_000_000

/** Unix seconds. */
export const moment: Read<number> = (value, at) => {
  const seconds = number(value, at)
  if (Math.abs(seconds) > latest) throw new OddAnswer(`${at} is no time`)
  return seconds
}

/** An id or a digest: it becomes part of requests, and of what programs read. */
export const id: Read<string> = (value, at) => {
  const found = text(value, at)
  if (!/^\w[\w:.+-]*$/.test(found)) throw new OddAnswer(`${at} is no id`)
  return found
}

/** What may be missing or null, as undefined. */
export const optional =
  <T>(read: Read<T>): Read<T | undefined> =>
  (value, at) =>
    value === undefined || value === null ? undefined : read(value, at)

/** What is `fallback` where it is missing or null. */
export const withDefault =
  <T>(read: Read<T>, fallback: T): Read<T> =>
  (value, at) =>
    value === undefined || value === null ? fallback : read(value, at)

export const list =
  <T>(read: Read<T>): Read<readonly T[]> =>
  (value, at) => {
    if (!Array.isArray(value)) throw odd(value, at, 'an array')
    return value.map((item: unknown, index) => read(item, `${at}[${index}]`))
  }

/** The API's lists may be null where they are empty. */
export const listOrNull = <T>(read: Read<T>): Read<readonly T[]> => withDefault(list(read), [])

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An object whose keys are names of any kind. */
export const record =
  <T>(read: Read<T>): Read<Readonly<Record<string, T>>> =>
  (value, at) => {
    if (!isObject(value)) throw odd(value, at, 'an object')
    // As entries: `__proto__` is a name like any other.
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, read(item, `${at}.${name}`)]),
    )
  }

type Fields<T> = { readonly [Name in keyof T]-?: Read<T[Name]> }

function readFields<T>(fields: Fields<T>, value: unknown, at: string): Partial<T> {
  if (!isObject(value)) throw odd(value, at, 'an object')
  const found: Partial<T> = {}
  for (const name of Object.keys(fields) as (keyof T & string)[]) {
    const own = Object.hasOwn(value, name) ? value[name] : undefined
    const field = fields[name](own, at === '' ? name : `${at}.${name}`)
    if (field !== undefined) found[name] = field
  }
  return found
}

/** An object with these fields; whatever else it has is left out. */
export const object =
  <T>(fields: Fields<T>): Read<T> =>
  (value, at) =>
    readFields(fields, value, at) as T

/** How deep what is passed on may be nested: writing it takes a stack. */
const deepest = 200

function checkDepth(whole: unknown): void {
  let level = [whole]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > deepest) throw new OddAnswer(`it is nested more than ${deepest} levels deep`)
    level = level.flatMap((value): unknown[] =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    )
  }
}

/** An object with at least these fields, all of which is passed on. */
export const whole =
  <T>(fields: Fields<T>): Read<T & Readonly<Record<string, unknown>>> =>
  (value, at) => {
    readFields(fields, value, at)
    checkDepth(value)
    return value as T & Readonly<Record<string, unknown>>
  }

/** An answer without a body. */
export const nothing: Read<void> = () => {}
