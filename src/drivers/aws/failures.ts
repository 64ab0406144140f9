import { UserError, codeOf, messageOf } from '../../errors.ts'
import { type Concern, type Failure, busy, failures, trouble } from './failure-table.ts'

const byCode = new Map(failures.flatMap((failure) => failure.codes.map((code) => [code, failure])))

/** The name that AWS, the SDK or Node.js gives an error: `InvalidAMIID.NotFound`, `ENOTFOUND`. */
const failureCode = (error: unknown): string | undefined =>
  codeOf(error) ?? (error instanceof Error ? error.name : undefined)

/** Whether an error is one of these. */
export const isFailure =
  (...codes: readonly string[]) =>
  (error: unknown): boolean =>
    codes.includes(failureCode(error) ?? '')

/** Whether AWS answered, and with a server's error. */
export function isServerError(error: unknown): boolean {
  const { $metadata } = error as { readonly $metadata?: { readonly httpStatusCode?: number } }
  return ($metadata?.httpStatusCode ?? 0) >= 500
}

const failureOf = (error: unknown): Failure | undefined =>
  byCode.get(failureCode(error) ?? '') ?? (isServerError(error) ? trouble : undefined)

/** Whether EC2 may or may not have done what it was asked, or was too busy to: the same question may be put again. */
export function isPassing(error: unknown): boolean {
  const failure = failureOf(error)
  return (
    failure === busy ||
    failure === trouble ||
    (failure?.kind === 'unreachable' && failureCode(error) !== 'ENOTFOUND')
  )
}

const isOfAws = (error: unknown): boolean =>
  error instanceof Error && ('$metadata' in error || '$fault' in error)

/** AWS's words, without the encoded part that only AWS can read, and without the SDK's advice to programmers. */
const wordsOf = (error: unknown): string =>
  messageOf(error).split(/\. Encoded authorization failure|\n/)[0] ?? ''

/**
 * What to tell a person of an error that a call to AWS ended with. Errors that are for persons already, and those
 * that are not AWS's, stay as they are.
 */
export function explain(error: unknown, concern: Concern): unknown {
  if (error instanceof UserError) return error
  const told = `${wordsOf(error)} (${failureCode(error)})`
  const failure = failureOf(error)
  if (failure !== undefined) {
    return new UserError(failure.kind, `${failure.what(concern)}: ${told}`, {
      hint: failure.next?.(concern),
      cause: error,
    })
  }
  if (!isOfAws(error)) return error
  return new UserError('failed', `EC2 in ${concern.region}: ${told}`, { cause: error })
}
