import { UserError, codeOf, messageOf } from '../errors.ts'
import { refused } from '../transport/sockets/socket-stream.ts'
import type { SentError } from './protocol.ts'

/** Converts an error to the form that is sent to the other process. */
export function serializeError(thrown: unknown): SentError {
  if (thrown instanceof UserError) {
    const { kind, message, machine, hint } = thrown
    return { kind, message, machine, hint }
  }
  return { code: codeOf(thrown), message: messageOf(thrown) }
}

/** Restores an error received from the other process, so that it is reported like an error of this process. */
export function deserializeError({ kind, code, message, machine, hint }: SentError): Error {
  if (kind !== undefined) return new UserError(kind, message, { machine, hint })
  if (code === 'REFUSED') return refused(message)
  return Object.assign(new Error(message), code !== undefined && { code })
}
