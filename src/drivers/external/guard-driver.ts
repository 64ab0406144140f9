import { UserError, messageOf } from '../../errors.ts'
import type { Call, Driver } from '../driver.ts'

type Method = (...args: readonly unknown[]) => unknown

/** The message and the first line of the stack, for the driver's author. */
function describeBug(thrown: unknown): string {
  const frame = thrown instanceof Error ? /^\s*at .*$/m.exec(thrown.stack ?? '')?.[0].trim() : ''
  return frame ? `${messageOf(thrown)} (${frame})` : messageOf(thrown)
}

/**
 * Runs a method. Errors that are not for the user are reported as a bug of the package, unless the
 * call was aborted.
 */
async function run(method: () => unknown, call: unknown, label: string): Promise<unknown> {
  try {
    return await method()
  } catch (error) {
    const { signal } = (call ?? {}) as Partial<Call>
    signal?.throwIfAborted() // an aborted call ends with the reason of its signal
    if (error instanceof UserError) throw error
    throw new UserError('failed', `${label} has a mistake: ${describeBug(error)}`, {
      hint: 'report it to the author of the package',
      cause: error,
    })
  }
}

/** Whether a property contains methods, as opposed to data. */
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
        const result = await run(
          () => Reflect.apply(value as Method, part, args),
          args.at(-1),
          label,
        )
        return isPlan(result) ? guard(result, label) : result
      }
    },
  })
}

/**
 * Wraps the driver of a package so that its bugs are reported with the package's `label` and not as
 * bugs of fleet, and so that an aborted call ends with the reason of its signal.
 */
export const guardDriver = (driver: Driver, label: string): Driver => guard(driver, label)
