import { UserError } from '../../../errors.ts'

/** The common properties of errors from the SDK's clients. */
interface SdkError extends Error {
  readonly code?: unknown
  readonly statusCode?: unknown
}

/**
 * Pattern for the message of an operation that failed after Azure had accepted it: only the message
 * contains the error code.
 */
const failedOperation = /^The long-running operation has failed\. (\w+)\. (.*)$/s

/** Returns Azure's error code, such as `SkuNotAvailable`, if there is one. */
export function azureErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as SdkError
  if (typeof code === 'string') return code
  return failedOperation.exec(error.message)?.[1]
}

/** Returns the HTTP status of Azure's response, if there is one. */
export function azureErrorStatus(error: unknown): number | undefined {
  const status = error instanceof Error ? (error as SdkError).statusCode : undefined
  return typeof status === 'number' ? status : Number(status) || undefined
}

/** Returns Azure's message without the query strings of URLs, which may contain signatures. */
export function azureErrorMessage(error: Error): string {
  const words = failedOperation.exec(error.message)?.[2] ?? error.message
  return words
    .replaceAll(/https?:\/\/\S+/g, (url) => url.replace(/\?.*$/, ''))
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replace(/\.$/, '')
}

/**
 * Whether the resource does not exist. If the login cannot see the subscription, its resources may
 * still exist.
 */
const isGone = (error: unknown): boolean =>
  azureErrorStatus(error) === 404 && !/Subscription/.test(azureErrorCode(error) ?? '')

/**
 * Whether the login lacks permission: many logins have permissions in some resource groups, but not in the whole
 * subscription.
 */
const isForbidden = (error: unknown): boolean =>
  azureErrorStatus(error) === 403 && /Authorization/.test(azureErrorCode(error) ?? '')

/** Returns `undefined` instead of throwing if the login lacks permission. */
export async function ignoreForbidden<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isForbidden(error)) return undefined
    throw error
  }
}

/** Returns `undefined` instead of throwing if the resource does not exist. */
export async function ignoreNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

/**
 * A decision, and the part of it that could not be checked because the login lacks permission. Azure itself rejects
 * invalid requests.
 */
export interface Checked<Value> {
  readonly value: Value
  readonly unchecked?: string
}

/** Creates an error that the user can fix, with a hint. */
export const usageError = (message: string, hint: string): UserError =>
  new UserError('usage', message, { hint })
