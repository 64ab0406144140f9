import { type ErrorKind, UserError, codeOf } from '../../errors.ts'
import { codeOfRefusal, statusOfRefusal, wordsOfRefusal } from './refusal.ts'

/** What a refusal means, and what to do about it. */
interface Failure {
  readonly kind: ErrorKind
  readonly text: string
  readonly hint: string
}

const otherSize = 'try another --size, --zone or --location'
const noCapacity: Failure = {
  kind: 'failed',
  text: 'Azure has no capacity for this size there at the moment',
  hint: `try again later, or ${otherSize}`,
}
const overQuota: Failure = {
  kind: 'usage',
  text: 'the quota of the subscription is exceeded',
  hint: 'ask for more in the portal (Quotas), or use another --size or --location',
}
const notAllowed: Failure = {
  kind: 'credentials',
  text: 'the login may not do this',
  hint: 'give it the role of docs/drivers/azure.md on the subscription or the resource group',
}
const loginAgain: Failure = {
  kind: 'credentials',
  text: 'Azure does not accept the login',
  hint: 'log in again (az login), or check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET',
}
const noLogin: Failure = {
  kind: 'credentials',
  text: 'no login to Azure was found',
  hint: 'az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET',
}
const badImage: Failure = {
  kind: 'usage',
  text: 'there is no such image there',
  hint: 'name one by --image: debian-13, ubuntu-24.04, PUBLISHER:OFFER:SKU:VERSION or an id',
}
const inUse: Failure = {
  kind: 'failed',
  text: 'something else uses what fleet made, so it cannot be removed',
  hint: 'detach it, then repeat the command',
}
const unreachable: Failure = {
  kind: 'unreachable',
  text: 'Azure cannot be reached',
  hint: 'check the network; HTTPS_PROXY is honoured',
}

/** By Azure's code for the refusal; those of Microsoft.Compute, Microsoft.Network and Resource Manager. */
const failures: Readonly<Record<string, Failure>> = {
  SkuNotAvailable: {
    kind: 'usage',
    text: 'the size is not available to the subscription there',
    hint: otherSize,
  },
  AllocationFailed: noCapacity,
  ZonalAllocationFailed: noCapacity,
  OverconstrainedAllocationRequest: noCapacity,
  OverconstrainedZonalAllocationRequest: noCapacity,
  QuotaExceeded: overQuota,
  PublicIPCountLimitReached: overQuota,
  ResourceCountExceedsLimitDueToTemplate: overQuota,
  RequestDisallowedByPolicy: {
    kind: 'usage',
    text: 'a policy of the subscription forbids it',
    hint: 'choose what the policy allows (--location, --size, --tags …), or ask who owns it for an exemption',
  },
  MissingSubscriptionRegistration: {
    kind: 'usage',
    text: 'the subscription is not registered for this kind of resource',
    hint: 'consent by --register-providers, or run: az provider register --namespace Microsoft.Compute',
  },
  AuthorizationFailed: notAllowed,
  LinkedAuthorizationFailed: notAllowed,
  InvalidAuthenticationToken: loginAgain,
  InvalidAuthenticationTokenTenant: loginAgain,
  ExpiredAuthenticationToken: loginAgain,
  AuthenticationFailed: loginAgain,
  SubscriptionNotFound: {
    kind: 'usage',
    text: 'the login sees no such subscription',
    hint: 'check --subscription, or log in to its tenant: --tenant',
  },
  ReadOnlyDisabledSubscription: {
    kind: 'usage',
    text: 'the subscription is disabled and can only be read',
    hint: 'enable it in the portal',
  },
  ResourceGroupNotFound: {
    kind: 'usage',
    text: 'there is no such resource group',
    hint: 'check --resource-group and --subscription',
  },
  ScopeLocked: {
    kind: 'failed',
    text: 'a lock forbids it',
    hint: 'remove the lock in the portal, then repeat the command',
  },
  PlatformImageNotFound: badImage,
  ImageNotFound: badImage,
  MarketplacePurchaseEligibilityFailed: {
    kind: 'usage',
    text: 'the terms of the image are not accepted',
    hint: 'accept them: az vm image terms accept --urn PUBLISHER:OFFER:SKU:VERSION',
  },
  ResourcePurchaseValidationFailed: {
    kind: 'usage',
    text: 'the terms of the image are not accepted',
    hint: 'accept them: az vm image terms accept --urn PUBLISHER:OFFER:SKU:VERSION',
  },
  DnsRecordInUse: {
    kind: 'usage',
    text: 'the DNS label is taken',
    hint: 'choose another --dns-label',
  },
  NicInUse: inUse,
  PublicIPAddressCannotBeDeleted: inUse,
  InUseNetworkSecurityGroupCannotBeDeleted: inUse,
  InUseSubnetCannotBeDeleted: inUse,
  CannotDeleteDiskInUse: inUse,
  TooManyRequests: {
    kind: 'failed',
    text: 'Azure takes no more requests for the moment',
    hint: 'repeat the command in a few minutes',
  },
  CredentialUnavailableError: noLogin,
  AggregateAuthenticationError: noLogin,
  AuthenticationError: loginAgain,
  AuthenticationRequiredError: loginAgain,
  ENOTFOUND: unreachable,
  ECONNREFUSED: unreachable,
  ECONNRESET: unreachable,
  ETIMEDOUT: unreachable,
  EAI_AGAIN: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  REQUEST_SEND_ERROR: unreachable,
}

function failureOf(error: Error): Failure | undefined {
  const code = codeOfRefusal(error) ?? ''
  // OperationNotAllowed is also what a machine in the wrong state answers.
  if (code === 'OperationNotAllowed' && /quota/i.test(error.message)) return overQuota
  const status = statusOfRefusal(error)
  if (status === 429) return failures['TooManyRequests']
  return failures[code] ?? failures[error.name] ?? failures[codeOf(error.cause) ?? '']
}

const isSdkError = (error: Error): boolean =>
  error.name === 'RestError' || codeOfRefusal(error) !== undefined

/**
 * Says what a failure of the SDK means. Nothing of the request goes into it: its headers and body have secrets.
 * Whatever is no answer of Azure's stays as it is.
 */
export function explainFailure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  if (!(error instanceof Error) || error instanceof UserError) return error
  const words = wordsOfRefusal(error)
  const failure = failureOf(error)
  if (failure !== undefined) {
    return new UserError(failure.kind, `${failure.text}: ${words}`, { hint: failure.hint })
  }
  if (!isSdkError(error)) return error
  const code = codeOfRefusal(error) ?? statusOfRefusal(error)
  return new UserError('failed', `Azure refused: ${words}${code === undefined ? '' : ` (${code})`}`)
}
