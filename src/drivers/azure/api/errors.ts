import { type ErrorKind, UserError, codeOf } from '../../../errors.ts'
import { azureErrorCode, azureErrorStatus, azureErrorMessage } from './sdk-errors.ts'

/** How to explain an Azure error to the user. */
interface Failure {
  readonly kind: ErrorKind
  readonly text: string
  readonly hint: string
}

const otherSize = 'choose another --size, --zone or --location'
const noCapacity: Failure = {
  kind: 'failed',
  text: 'Azure has no capacity for this size in this location at the moment',
  hint: `run the command again later, or ${otherSize}`,
}
const overQuota: Failure = {
  kind: 'usage',
  text: 'the request exceeds a subscription quota',
  hint: 'request a quota increase in the portal, or use another --size or --location',
}
const notAllowed: Failure = {
  kind: 'credentials',
  text: 'your login does not have the required permissions',
  hint: "assign the role in fleet's documentation (docs/drivers/azure.md) to your login; assignments take effect after a few minutes",
}
const loginAgain: Failure = {
  kind: 'credentials',
  text: 'Azure rejected your login',
  hint: 'run az login again, or check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET',
}
const noLogin: Failure = {
  kind: 'credentials',
  text: 'no Azure login was found',
  hint: 'run az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET',
}
const unacceptedTerms: Failure = {
  kind: 'usage',
  text: 'the image terms have not been accepted',
  hint: 'to accept the terms for your --image: az vm image terms accept --urn PUBLISHER:OFFER:SKU:VERSION',
}
const badImage: Failure = {
  kind: 'usage',
  text: 'the image does not exist in this location',
  hint: 'choose another --image: debian-13, ubuntu-24.04, PUBLISHER:OFFER:SKU:VERSION or an image ID',
}
const inUse: Failure = {
  kind: 'failed',
  text: 'a resource that fleet created is in use and cannot be deleted',
  hint: 'detach the resource, then run the command again',
}
const unreachable: Failure = {
  kind: 'unreachable',
  text: 'Azure cannot be reached',
  hint: 'check the network; if you use a proxy, set HTTPS_PROXY',
}

/**
 * Failures, keyed by Azure's error code (Microsoft.Compute, Microsoft.Network, Resource Manager), the SDK's error name
 * or Node.js's error code.
 */
const failures: Readonly<Record<string, Failure>> = {
  SkuNotAvailable: {
    kind: 'usage',
    text: 'the size is not available to the subscription in this location',
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
    text: 'a subscription policy denies the request',
    hint: 'choose values that the policy allows (--location, --size, --tags …), or ask the policy owner for an exemption',
  },
  MissingSubscriptionRegistration: {
    kind: 'usage',
    text: 'the subscription is not registered for this resource type',
    hint: 'use --register-providers, or run: az provider register --namespace Microsoft.Compute',
  },
  AuthorizationFailed: notAllowed,
  LinkedAuthorizationFailed: notAllowed,
  InvalidAuthenticationToken: loginAgain,
  InvalidAuthenticationTokenTenant: loginAgain,
  ExpiredAuthenticationToken: loginAgain,
  AuthenticationFailed: loginAgain,
  SubscriptionNotFound: {
    kind: 'usage',
    text: 'your login has no access to this subscription',
    hint: "check --subscription, or specify the subscription's tenant with --tenant",
  },
  ReadOnlyDisabledSubscription: {
    kind: 'usage',
    text: 'the subscription is disabled and read-only',
    hint: 'enable the subscription in the portal',
  },
  ResourceGroupNotFound: {
    kind: 'usage',
    text: 'there is no such resource group',
    hint: 'check --resource-group and --subscription',
  },
  ScopeLocked: {
    kind: 'failed',
    text: 'a resource lock prevents the operation',
    hint: 'remove the lock in the portal, then run the command again',
  },
  PlatformImageNotFound: badImage,
  ImageNotFound: badImage,
  MarketplacePurchaseEligibilityFailed: unacceptedTerms,
  ResourcePurchaseValidationFailed: unacceptedTerms,
  EncryptionAtHost: {
    kind: 'usage',
    text: 'encryption at host is not enabled for the subscription',
    hint: 'enable encryption at host: az feature register --namespace Microsoft.Compute --name EncryptionAtHost; once the feature is registered, run: az provider register --namespace Microsoft.Compute',
  },
  DnsRecordInUse: {
    kind: 'usage',
    text: 'the DNS label is already in use',
    hint: 'choose another --dns-label',
  },
  NicInUse: inUse,
  PublicIPAddressCannotBeDeleted: inUse,
  InUseNetworkSecurityGroupCannotBeDeleted: inUse,
  InUseSubnetCannotBeDeleted: inUse,
  CannotDeleteDiskInUse: inUse,
  TooManyRequests: {
    kind: 'failed',
    text: 'Azure is throttling requests',
    hint: 'run the command again in a few minutes',
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
  const code = azureErrorCode(error) ?? ''
  // OperationNotAllowed is also the error for a virtual machine in the wrong state.
  if (code === 'OperationNotAllowed' && /quota/i.test(error.message)) return overQuota
  if (/EncryptionAtHost/i.test(error.message)) return failures['EncryptionAtHost']
  const status = azureErrorStatus(error)
  if (status === 429) return failures['TooManyRequests']
  return failures[code] ?? failures[error.name] ?? failures[codeOf(error.cause) ?? '']
}

/** Patterns for the two Azure error messages that contain a permission and a scope. */
const permissionPatterns = [
  /does not have (?:permission|authorization) to perform action '([^']+)' on the linked scope\(s\) '([^']+)'/,
  /does not have authorization to perform action '([^']+)' over scope '([^']+)'/,
]

/** Describes the missing permission that an error message names, if any. */
function missingPermission(words: string): string | undefined {
  const [, right, scope] = permissionPatterns.map((one) => one.exec(words)).find(Boolean) ?? []
  return right === undefined ? undefined : `your login lacks the ${right} permission on ${scope}`
}

/**
 * Pattern for the first sentence of a Microsoft Entra error
 * (https://learn.microsoft.com/entra/identity-platform/reference-error-codes).
 */
const entraSentence = /AADSTS\d+: [^.]*/

/** Pattern for the messages that `az`, which fetches tokens itself, prints if there is no network. */
const offlineAz = /Max retries exceeded|NameResolutionError|Failed to establish a new connection/

/** Maximum length of the part of the SDK's message that is shown, in characters. */
const maxReasonLength = 200

/** Explains why the login failed, without the SDK's long report on each credential that it tried. */
function explainLogin(error: Error): UserError | undefined {
  const failure = failures[error.name]
  if (failure !== noLogin && failure !== loginAgain) return undefined
  if (offlineAz.test(error.message)) {
    return new UserError(
      'unreachable',
      'the Azure CLI (az) cannot reach the Azure login endpoint',
      {
        hint: unreachable.hint,
      },
    )
  }
  const sentence = entraSentence.exec(error.message)?.[0]
  // The credentials that were tried include an expired az session.
  if (sentence !== undefined) {
    return new UserError('credentials', `${loginAgain.text}: ${sentence}`, {
      hint: loginAgain.hint,
    })
  }
  const reason = azureErrorMessage(error).replaceAll(/ *To troubleshoot, visit \S+/g, '')
  const because = failure === noLogin ? '' : `: ${reason.slice(0, maxReasonLength)}`
  return new UserError(failure.kind, `${failure.text}${because}`, { hint: failure.hint })
}

const isSdkError = (error: Error): boolean =>
  error.name === 'RestError' || azureErrorCode(error) !== undefined

/**
 * Turns an error from the SDK into an error for the user. The result contains nothing from the request, whose headers
 * and body contain secrets. Other errors are returned unchanged.
 */
export function explainError(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  if (!(error instanceof Error) || error instanceof UserError) return error
  const login = explainLogin(error)
  if (login !== undefined) return login
  const words = azureErrorMessage(error)
  const failure = failureOf(error)
  const right = missingPermission(words)
  if (failure === notAllowed && right !== undefined) {
    const ownGroup = right.includes('resourceGroups/write')
    const hint = `${ownGroup ? 'use your own resource group with --resource-group, or ' : ''}${failure.hint}`
    return new UserError(failure.kind, right, { hint })
  }
  if (failure !== undefined) {
    return new UserError(failure.kind, `${failure.text}: ${words}`, { hint: failure.hint })
  }
  if (!isSdkError(error)) return error
  const code = azureErrorCode(error) ?? azureErrorStatus(error)
  return new UserError(
    'failed',
    `Azure rejected the request: ${words}${code === undefined ? '' : ` (${code})`}`,
  )
}
