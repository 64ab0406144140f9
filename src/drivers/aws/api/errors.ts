import { UserError, codeOf, messageOf } from '../../../errors.ts'
import { setClock } from '../../../os/platform-commands.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
import {
  type ErrorContext,
  type Failure,
  throttling,
  failures,
  internalError,
} from './error-codes.ts'

const byCode = new Map(failures.flatMap((failure) => failure.codes.map((code) => [code, failure])))

/** Returns the code or name of an error from AWS, the SDK or Node.js, such as `ENOTFOUND`. */
const failureCode = (error: unknown): string | undefined =>
  codeOf(error) ?? (error instanceof Error ? error.name : undefined)

/** Returns a predicate for errors with one of these codes. */
export const isFailure =
  (...codes: readonly string[]) =>
  (error: unknown): boolean =>
    codes.includes(failureCode(error) ?? '')

/** Whether AWS answered with a server error (5xx). */
export function isServerError(error: unknown): boolean {
  const { $metadata } = error as { readonly $metadata?: { readonly httpStatusCode?: number } }
  return ($metadata?.httpStatusCode ?? 0) >= 500
}

/** Maximum depth to search for causes: the SDK may wrap a credential provider's error several times. */
const maxDepth = 5

/**
 * Returns the network error that kept the SDK from loading credentials: it is either one of the causes or only
 * mentioned in a message. Errors from the metadata service are ignored, because most computers have no such service.
 */
function networkFailureIn(error: unknown, depth = 0): Failure | undefined {
  if (!(error instanceof Error) || depth > maxDepth || error.message.includes('169.254.')) {
    return undefined
  }
  const [word] = /\bE[A-Z_]{4,}\b/.exec(error.message) ?? []
  const found = byCode.get(codeOf(error) ?? '') ?? byCode.get(word ?? '')
  return found?.kind === 'unreachable' ? found : networkFailureIn(error.cause, depth + 1)
}

function failureOf(error: unknown): Failure | undefined {
  const found = byCode.get(failureCode(error) ?? '')
  if (found?.kind === 'credentials') return networkFailureIn(error) ?? found
  return found ?? (isServerError(error) ? internalError : undefined)
}

/** Whether EC2 is throttling requests. */
export const isThrottling = (error: unknown): boolean => failureOf(error) === throttling

/** Whether the request can be repeated: EC2 was busy, or it is unknown whether EC2 executed the request. */
export function isTransient(error: unknown): boolean {
  const failure = failureOf(error)
  return (
    failure === throttling ||
    failure === internalError ||
    (failure?.kind === 'unreachable' && failureCode(error) !== 'ENOTFOUND')
  )
}

/** Returns how far this computer's clock is ahead of AWS's clock, in milliseconds, according to the response's date. */
function clockSkewOf(error: unknown): number | undefined {
  const { $response } = error as {
    readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
  }
  const date = Date.parse($response?.headers?.['date'] ?? '')
  return Number.isNaN(date) ? undefined : Date.now() - date
}

/** Signatures are valid for five minutes (AWS Signature Version 4) or, on EC2, for fifteen. */
const isLarge = (skew: number | undefined): boolean => Math.abs(skew ?? 0) >= 4 * 60_000

function describeSkew(skew: number | undefined): string {
  if (skew === undefined || !isLarge(skew)) return 'is wrong'
  const minutes = Math.round(Math.abs(skew) / 60_000)
  return `is ${minutes} minutes ${skew > 0 ? 'ahead' : 'behind'}`
}

const clockHint = `set the clock, for example: ${setClock}`

const isDateError = isFailure('RequestTimeTooSkewed', 'RequestInTheFuture')
/** EC2 uses these codes for credentials and signatures, too (EC2 API reference, "Error codes"). */
const mayBeDateError = isFailure(
  'RequestExpired',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
)

/** Whether a request was rejected because of its date. */
const isClockError = (error: unknown, skew: number | undefined): boolean =>
  isDateError(error) ||
  (mayBeDateError(error) &&
    (isLarge(skew) || /signature (?:expired|not yet current)/i.test(messageOf(error))))

const isAwsError = (error: unknown): boolean =>
  error instanceof Error && ('$metadata' in error || '$fault' in error)

/**
 * Returns AWS's message without the encoded part that only AWS can decode, and without the SDK's
 * advice to programmers.
 */
const awsMessage = (error: unknown): string =>
  messageOf(error).split(/\. Encoded authorization failure|\n/)[0] ?? ''

/** Explains MFA errors, which the SDK and STS identify only by the text of the message. */
function explainMfa(error: unknown, { profile = 'NAME' }: ErrorContext): UserError | undefined {
  const words = messageOf(error)
  if (/requires multi-factor authentication/.test(words)) {
    return new UserError(
      'credentials',
      `AWS profile ${profile} requires an MFA code, but there is no terminal to prompt on`,
      {
        hint: `run the command in a terminal, or set temporary credentials first: eval "$(aws configure export-credentials --profile ${shellQuote(profile)} --format env)"`,
        cause: error,
      },
    )
  }
  if (!/MultiFactorAuthentication failed/.test(words)) return undefined
  return new UserError('credentials', 'AWS rejected the MFA code', {
    hint: 'each MFA code works only once: wait for the next code, then run the command again',
    cause: error,
  })
}

/**
 * Turns an error from AWS into an error for the user. User errors and errors that are not from AWS are returned
 * unchanged.
 */
export function explainError(error: unknown, context: ErrorContext): unknown {
  if (error instanceof UserError) return error
  const mfa = explainMfa(error, context)
  if (mfa !== undefined) return mfa
  const details = `${awsMessage(error)} (${failureCode(error)})`
  const skew = clockSkewOf(error)
  if (isClockError(error, skew)) {
    return new UserError(
      'failed',
      `this computer's clock ${describeSkew(skew)}, so AWS rejects requests: ${details}`,
      {
        hint: clockHint,
        cause: error,
      },
    )
  }
  const failure = failureOf(error)
  if (failure !== undefined) {
    const clock =
      failure.kind === 'credentials' && isLarge(skew)
        ? [`this computer's clock ${describeSkew(skew)}: ${clockHint}`]
        : []
    return new UserError(
      failure.kind,
      `${failure.message(context)}${failure.isComplete ? '' : `: ${details}`}`,
      {
        hint:
          [...clock, failure.hint?.(context)].filter((hint) => hint !== undefined).join('; ') ||
          undefined,
        cause: error,
      },
    )
  }
  if (!isAwsError(error)) return error
  return new UserError(
    'failed',
    `EC2${context.region === undefined ? '' : ` in ${context.region}`}: ${details}`,
    { cause: error },
  )
}
