import { describe, expect, test } from 'vitest'
import { failures } from '../../../../src/drivers/aws/api/error-codes.ts'
import { explainError, isTransient } from '../../../../src/drivers/aws/api/errors.ts'
import { UserError } from '../../../../src/errors.ts'
import { setClock } from '../../../../src/os/platform-commands.ts'

/** Returns an error as the AWS SDK throws it. */
const awsError = (code: string, status = 400, message = 'words of AWS'): Error =>
  Object.assign(new Error(message), {
    name: code,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
  })

/** Adds a response to `error` that is dated `minutes` from now. */
const dated = (error: Error, minutes: number): Error =>
  Object.assign(error, {
    $response: { headers: { date: new Date(Date.now() + minutes * 60_000).toUTCString() } },
  })

const explained = (error: unknown): UserError =>
  explainError(error, { region: 'eu-west-1', profile: 'work' }) as UserError

describe('an AWS error', () => {
  test('has a code that is listed in the table only once', () => {
    const codes = failures.flatMap((failure) => failure.codes)
    expect(codes.toSorted()).toEqual([...new Set(codes)].sort())
  })

  test.each([
    [
      'ExpiredToken',
      'credentials',
      /expired.*words of AWS \(ExpiredToken\)/,
      /sso login --profile work/,
    ],
    ['CredentialsProviderError', 'credentials', /no AWS credentials/, /--profile work/],
    ['AuthFailure', 'credentials', /rejected the credentials.*eu-west-1/, /eu-west-1 is enabled/],
    ['UnauthorizedOperation', 'credentials', /does not allow/, /policy/],
    ['VcpuLimitExceeded', 'failed', /quota.*eu-west-1/, /Service Quotas/],
    ['AddressLimitExceeded', 'failed', /quota/, /Service Quotas/],
    ['InsufficientInstanceCapacity', 'failed', /no capacity/, /--zone/],
    ['InvalidAMIID.NotFound', 'usage', /no such image in eu-west-1/, /--image/],
    ['InvalidSubnetID.NotFound', 'usage', /no such subnet/, /describe-subnets/],
    ['InvalidGroup.NotFound', 'usage', /no such security group/, /describe-security-groups/],
    ['InvalidKeyPair.NotFound', 'usage', /no such key pair/, /--key-pair/],
    ['InvalidParameterValue', 'usage', /rejected the options/, /fleet create --driver aws --help/],
    ['RequestLimitExceeded', 'failed', /throttling/, /again/],
    ['ENOTFOUND', 'unreachable', /offline, or there is no such region/, /describe-regions/],
    ['EAI_AGAIN', 'unreachable', /this computer is offline/, /check the network/],
    ['ENETUNREACH', 'unreachable', /this computer is offline/, /check the network/],
    ['ERR_PROXY_REFUSED', 'unreachable', /cannot be reached/, /NO_PROXY/],
    ['ECONNREFUSED', 'unreachable', /cannot be reached/, /HTTPS_PROXY/],
  ])('with code %s is reported with kind %s', (code, kind, message, hint) => {
    const error = explained(awsError(code))
    expect(error.kind).toBe(kind)
    expect(error.message).toMatch(message)
    expect(error.hint).toMatch(hint)
  })

  test.each([
    ['RequestExpired', -20, /20 minutes ahead/],
    ['RequestExpired', 20, /20 minutes behind/],
    ['InvalidSignatureException', 20, /20 minutes behind/],
    ['SignatureDoesNotMatch', -20, /20 minutes ahead/],
    ['RequestTimeTooSkewed', 0, /this computer.s clock is wrong/],
    ['RequestInTheFuture', 0, /this computer.s clock is wrong/],
  ])(
    'with code %s and a clock that is %i minutes off is reported as a clock problem',
    (code, minutes, message) => {
      const error = explained(dated(awsError(code, 400, 'Request has expired.'), minutes))
      expect(error).toMatchObject({
        kind: 'failed',
        message: expect.stringMatching(message) as string,
      })
      expect(error.message).not.toMatch(/credentials/)
      expect(error.hint).toContain(`set the clock, for example: ${setClock}`)
    },
  )

  test('about credentials also names the clock if it is wrong', () => {
    const error = explained(dated(awsError('AuthFailure'), 20))
    expect(error.hint).toMatch(
      /^this computer.s clock is 20 minutes behind: set the clock.*enabled/,
    )
    expect(explained(dated(awsError('AuthFailure'), 0)).hint).not.toMatch(/clock/)
    expect(explained(dated(awsError('RequestExpired'), 0))).toMatchObject({ kind: 'credentials' })
  })

  test.each([
    [
      'in the message',
      awsError('CredentialsProviderError', 0, 'getaddrinfo EAI_AGAIN portal.sso.aws'),
    ],
    [
      'in the cause',
      Object.assign(awsError('TokenProviderError'), {
        cause: new Error('no token', {
          cause: Object.assign(new Error('x'), { code: 'ENETUNREACH' }),
        }),
      }),
    ],
  ])(
    'is reported as offline if the credentials could not be fetched, with the reason %s',
    (_, error) => {
      expect(explained(error)).toMatchObject({
        kind: 'unreachable',
        message: expect.stringContaining('offline') as string,
      })
    },
  )

  test('is a single sentence if there are no credentials', () => {
    const words = `connect EHOSTUNREACH 169.254.169.254:80 ${'and more '.repeat(100)}`
    const { message, kind } = explained(awsError('CredentialsProviderError', 0, words))
    expect([kind, message]).toEqual(['credentials', 'no AWS credentials were found'])
  })

  test('with an unknown code shows the message from AWS', () => {
    const error = explained(awsError('SomethingNew'))
    expect(error).toMatchObject({
      kind: 'failed',
      message: 'EC2 in eu-west-1: words of AWS (SomethingNew)',
    })
    expect(explained(awsError('SomethingNew', 503)).message).toMatch(/internal error/)
  })

  test('omits the encoded authorization failure message', () => {
    const message = 'You are not authorized. Encoded authorization failure message: AAAA'
    expect(explained(awsError('UnauthorizedOperation', 403, message)).message).not.toMatch(/AAAA/)
  })

  test('that does not come from AWS is returned unchanged', () => {
    const [bug, known] = [new TypeError('a bug'), new UserError('usage', 'invalid')]
    expect(explained(bug)).toBe(bug)
    expect(explained(known)).toBe(known)
  })
})

describe('retrying', () => {
  test.each(['RequestLimitExceeded', 'InternalError', 'ECONNRESET', 'TimeoutError'])(
    'happens after %s',
    (code) => {
      expect(isTransient(awsError(code))).toBe(true)
    },
  )

  test('happens after a server error without a known code', () => {
    expect(isTransient(awsError('Unknown', 502))).toBe(true)
  })

  test.each(['InvalidAMIID.NotFound', 'ExpiredToken', 'ENOTFOUND'])(
    'does not happen after %s',
    (code) => {
      expect(isTransient(awsError(code))).toBe(false)
    },
  )

  test('does not happen for missing capacity, although EC2 reports it as a server error', () => {
    expect(isTransient(awsError('InsufficientInstanceCapacity', 500))).toBe(false)
  })
})
