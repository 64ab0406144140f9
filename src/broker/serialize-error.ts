import { UserError, codeOf, messageOf } from '../errors.ts'
import { refused } from '../transport/refused.ts'
import type { SentError } from './protocol.ts'

/** An error as it goes to the other process. */
export function serializeError(thrown: unknown): SentError {
  if (thrown instanceof UserError) {
    const { kind, message, machine, hint } = thrown
    return { kind, message, machine, hint }
  }
  return { code: codeOf(thrown), message: messageOf(thrown) }
}

/** What came, to be thrown: a person reads it as if it had been met here. */
export function deserializeError({ kind, code, message, machine, hint }: SentError): Error {
  if (kind !== undefined) return new UserError(kind, message, { machine, hint })
  if (code === 'REFUSED') return refused(message)
  return Object.assign(new Error(message), code !== undefined && { code })
}
