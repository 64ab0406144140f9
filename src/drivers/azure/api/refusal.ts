/** What the SDK's errors have in common, whichever of its clients throws them. */
interface SdkError extends Error {
  readonly code?: unknown
  readonly statusCode?: unknown
}

/** The end of an operation that was accepted first is told only in words. */
const failedOperation = /^The long-running operation has failed\. (\w+)\. (.*)$/s

/** Azure's name for why it refused (`SkuNotAvailable`), if `error` is a refusal. */
export function codeOfRefusal(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as SdkError
  if (typeof code === 'string') return code
  return failedOperation.exec(error.message)?.[1]
}

/** The HTTP status of Azure's answer, if `error` is one. */
export function statusOfRefusal(error: unknown): number | undefined {
  const status = error instanceof Error ? (error as SdkError).statusCode : undefined
  return typeof status === 'number' ? status : Number(status) || undefined
}

/** Azure's own words, without the addresses in them, which may be signed. */
export function wordsOfRefusal(error: Error): string {
  const words = failedOperation.exec(error.message)?.[2] ?? error.message
  return words
    .replaceAll(/https?:\/\/\S+/g, (url) => url.replace(/\?.*$/, ''))
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replace(/\.$/, '')
}

/**
 * Whether what was asked for does not exist, or no longer. Of a subscription that the login does not see, nothing is
 * known: what is in it may well exist.
 */
const isGone = (error: unknown): boolean =>
  statusOfRefusal(error) === 404 && !/Subscription/.test(codeOfRefusal(error) ?? '')

/** Whether the login may not ask: many have rights on some resource groups alone, and none on the subscription. */
const isForbidden = (error: unknown): boolean =>
  statusOfRefusal(error) === 403 && /Authorization/.test(codeOfRefusal(error) ?? '')

/** The answer, or `undefined` where the login may not ask. */
export async function orForbidden<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isForbidden(error)) return undefined
    throw error
  }
}

/** The answer, or `undefined` where what was asked for does not exist. */
export async function ignoreNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}
