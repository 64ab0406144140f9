import { UserError, messageOf } from '../../errors.ts'
import type { Call, Driver } from '../driver.ts'

type Method = (...args: readonly unknown[]) => unknown

/** What a driver's author needs to find a mistake: the message, and the place of the code. */
function describeMistake(thrown: unknown): string {
  const frame = thrown instanceof Error ? /^\s*at .*$/m.exec(thrown.stack ?? '')?.[0].trim() : ''
  return frame ? `${messageOf(thrown)} (${frame})` : messageOf(thrown)
}

/** Runs a method, telling mistakes of its code from failures for the person, and those from an abort. */
async function run(method: () => unknown, call: unknown, label: string): Promise<unknown> {
  try {
    return await method()
  } catch (error) {
    const { signal } = (call ?? {}) as Partial<Call>
    signal?.throwIfAborted() // whatever an aborted call ends with, the reason for that is what counts
    if (error instanceof UserError) throw error
    throw new UserError('failed', `${label} has a mistake: ${describeMistake(error)}`, {
      hint: 'report it to the author of the package',
      cause: error,
    })
  }
}

/** Whether a value of a driver's has methods of its own: the rest is data. */
const hasMethods = (key: PropertyKey, value: unknown): value is object =>
  typeof key === 'string' &&
  ['lifecycle', 'power', 'snapshots', 'update', 'sshAccess'].includes(key) &&
  typeof value === 'object' &&
  value !== null

const isPlan = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && 'make' in value

function guard<Part extends object>(part: Part, label: string): Part {
  return new Proxy({} as Part, {
    has: (_target, key) => Reflect.has(part, key),
    get(_target, key) {
      const value: unknown = Reflect.get(part, key, part)
      if (hasMethods(key, value)) return guard(value, label)
      if (typeof value !== 'function') return value
      return async (...args: readonly unknown[]) => {
        const told = await run(() => Reflect.apply(value as Method, part, args), args.at(-1), label)
        return isPlan(told) ? guard(told, label) : told
      }
    },
  })
}

/**
 * The driver of a package, so that its mistakes are told as such, with the package's `label`, and not as a bug
 * in fleet; and that an aborted call ends with the reason for which it was aborted.
 */
export const guardDriver = (driver: Driver, label: string): Driver => guard(driver, label)
