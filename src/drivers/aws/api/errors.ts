import { UserError, codeOf, messageOf } from '../../../errors.ts'
import { shellQuote } from '../../../os/shell-quote.ts'
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

/** How deep the SDK wraps what went wrong on the way to credentials. */
const deepest = 5

/**
 * The network's error that kept the SDK from credentials: it tells of it in a cause, or in words alone. The metadata service is not
 * there on most computers, which says nothing.
 */
function networkFailureIn(error: unknown, depth = 0): Failure | undefined {
  if (!(error instanceof Error) || depth > deepest || error.message.includes('169.254.')) {
    return undefined
  }
  const [word] = /\bE[A-Z_]{4,}\b/.exec(error.message) ?? []
  const found = byCode.get(codeOf(error) ?? '') ?? byCode.get(word ?? '')
  return found?.kind === 'unreachable' ? found : networkFailureIn(error.cause, depth + 1)
}

function failureOf(error: unknown): Failure | undefined {
  const found = byCode.get(failureCode(error) ?? '')
  if (found?.kind === 'credentials') return networkFailureIn(error) ?? found
  return found ?? (isServerError(error) ? trouble : undefined)
}

/** Whether EC2 was asked too much. */
export const isBusy = (error: unknown): boolean => failureOf(error) === busy

/** Whether EC2 may or may not have done what it was asked, or was too busy to: the same question may be put again. */
export function isTransient(error: unknown): boolean {
  const failure = failureOf(error)
  return (
    failure === busy ||
    failure === trouble ||
    (failure?.kind === 'unreachable' && failureCode(error) !== 'ENOTFOUND')
  )
}

/** How far this computer's clock is ahead of the one of AWS, by the date of the answer, in milliseconds. */
function clockSkewOf(error: unknown): number | undefined {
  const { $response } = error as {
    readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
  }
  const date = Date.parse($response?.headers?.['date'] ?? '')
  return Number.isNaN(date) ? undefined : Date.now() - date
}

/** Signatures are good for five minutes (AWS Signature Version 4), those of EC2 for fifteen. */
const isLarge = (skew: number | undefined): boolean => Math.abs(skew ?? 0) >= 4 * 60_000

function describeSkew(skew: number | undefined): string {
  if (skew === undefined || !isLarge(skew)) return 'is wrong'
  const minutes = Math.round(Math.abs(skew) / 60_000)
  return `is ${minutes} minutes ${skew > 0 ? 'ahead' : 'behind'}`
}

const setClock = 'set it, for example with: sudo timedatectl set-ntp true'

const refusesDate = isFailure('RequestTimeTooSkewed', 'RequestInTheFuture')
/** EC2 says so of credentials too (EC2 API reference, "Error codes"), and of signatures in words alone. */
const mayRefuseDate = isFailure(
  'RequestExpired',
  'InvalidSignatureException',
  'SignatureDoesNotMatch',
)

/** Whether a request was refused for the date that it bears. */
const isOfClock = (error: unknown, skew: number | undefined): boolean =>
  refusesDate(error) ||
  (mayRefuseDate(error) &&
    (isLarge(skew) || /signature (?:expired|not yet current)/i.test(messageOf(error))))

const isOfAws = (error: unknown): boolean =>
  error instanceof Error && ('$metadata' in error || '$fault' in error)

/** AWS's words, without the encoded part that only AWS can read, and without the SDK's advice to programmers. */
const wordsOf = (error: unknown): string =>
  messageOf(error).split(/\. Encoded authorization failure|\n/)[0] ?? ''

/** What the SDK and STS say in words alone: that a code is wanted, and that it was a wrong one. */
function explainMfa(error: unknown, { profile = 'NAME' }: Concern): UserError | undefined {
  const words = messageOf(error)
  if (/requires multi-factor authentication/.test(words)) {
    return new UserError(
      'credentials',
      'the AWS profile needs an MFA code, and there is no terminal to ask for it',
      {
        hint: `run the command on a terminal, or set temporary credentials first: eval "$(aws configure export-credentials --profile ${shellQuote(profile)} --format env)"`,
        cause: error,
      },
    )
  }
  if (!/MultiFactorAuthentication failed/.test(words)) return undefined
  return new UserError('credentials', 'AWS does not accept the code of the MFA device', {
    hint: 'each code works only once: wait for the next code, then run the command again',
    cause: error,
  })
}

/**
 * What to tell a person of an error that a call to AWS ended with. Errors that are for persons already, and those
 * that are not AWS's, stay as they are.
 */
export function explain(error: unknown, concern: Concern): unknown {
  if (error instanceof UserError) return error
  const mfa = explainMfa(error, concern)
  if (mfa !== undefined) return mfa
  const told = `${wordsOf(error)} (${failureCode(error)})`
  const skew = clockSkewOf(error)
  if (isOfClock(error, skew)) {
    return new UserError(
      'failed',
      `the clock of this computer ${describeSkew(skew)}, so AWS rejects its requests: ${told}`,
      {
        hint: setClock,
        cause: error,
      },
    )
  }
  const failure = failureOf(error)
  if (failure !== undefined) {
    const clock =
      failure.kind === 'credentials' && isLarge(skew)
        ? [`the clock of this computer ${describeSkew(skew)}: ${setClock}`]
        : []
    return new UserError(
      failure.kind,
      `${failure.what(concern)}${failure.isPlain ? '' : `: ${told}`}`,
      {
        hint:
          [...clock, failure.next?.(concern)].filter((hint) => hint !== undefined).join('; ') ||
          undefined,
        cause: error,
      },
    )
  }
  if (!isOfAws(error)) return error
  return new UserError('failed', `EC2 in ${concern.region}: ${told}`, { cause: error })
}
