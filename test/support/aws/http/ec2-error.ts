import { writeXml } from './xml.ts'

/**
 * The HTTP statuses of errors, if not 400 (EC2's list of error codes, and responses of its servers).
 */
const statuses: Readonly<Record<string, number>> = {
  AuthFailure: 401,
  DryRunOperation: 412,
  ExpiredToken: 403,
  InsufficientInstanceCapacity: 500,
  InternalError: 500,
  InvalidClientTokenId: 403,
  RequestLimitExceeded: 503,
  ServiceUnavailable: 503,
  Unavailable: 503,
  UnauthorizedOperation: 403,
}

/** Messages of errors that tests request by their code. */
const messages: Readonly<Record<string, string>> = {
  AuthFailure: 'AWS was not able to validate the provided access credentials',
  DryRunOperation: 'Request would have succeeded, but DryRun flag is set.',
  ExpiredToken: 'The security token included in the request is expired',
  InternalError: 'An internal error has occurred',
  InvalidClientTokenId: 'The security token included in the request is invalid.',
  InvalidSignatureException:
    'Signature not yet current: the date of the request is later than now.',
  RequestExpired: 'Request has expired.',
  RequestInTheFuture: 'The request is dated in the future.',
  RequestTimeTooSkewed:
    'The difference between the request time and the current time is too large.',
  RequestLimitExceeded: 'Request limit exceeded.',
  ServiceUnavailable: 'Service Unavailable',
  Unavailable: 'The service is unavailable. Please try again shortly.',
  UnauthorizedOperation: 'You are not authorized to perform this operation.',
}

/** An error response. */
export class Ec2Error extends Error {
  readonly code: string
  readonly status: number

  constructor(code: string, message = messages[code] ?? code, status = statuses[code] ?? 400) {
    super(message)
    this.code = code
    this.status = status
  }
}

/** Returns the body of an EC2 error. */
export const writeError = ({ code, message }: Ec2Error, requestId: string): string =>
  writeXml(
    'Response',
    { Errors: { Error: { Code: code, Message: message } }, RequestID: requestId },
    '',
  )

/** Returns the body of an STS error. */
export const writeStsError = ({ code, message, status }: Ec2Error, requestId: string): string =>
  writeXml(
    'ErrorResponse',
    {
      Error: { Type: status < 500 ? 'Sender' : 'Receiver', Code: code, Message: message },
      RequestId: requestId,
    },
    'https://sts.amazonaws.com/doc/2011-06-15/',
  )
