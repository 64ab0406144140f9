import { retry } from '../../../os/retry.ts'
import type { Call } from '../../driver.ts'
import type { Timeouts } from './azure-api.ts'
import { azureErrorCode } from './sdk-errors.ts'

/**
 * Error codes that Azure returns while another operation uses the resource, or shortly afterwards. A later retry
 * succeeds. A network interface stays reserved for three minutes for a virtual machine that could not be created.
 */
const busy = new Set([
  'AnotherOperationInProgress',
  'RetryableError',
  'RetryableErrorDueToAnotherOperation',
  'NicReservedForAnotherVm',
  'NicInUse',
  'InUseNetworkSecurityGroupCannotBeDeleted',
  'InUseSubnetCannotBeDeleted',
  'PublicIPAddressCannotBeDeleted',
  'OperationPreempted',
  'ResourceGroupBeingDeleted',
  'AttachDiskWhileBeingDetached',
  'CannotDeleteDiskInUse',
])

/** Retries while another operation keeps the resource busy. */
export async function retryWhileBusy<T>(
  timeouts: Timeouts,
  call: Call,
  step: string,
  attempt: () => Promise<T>,
): Promise<T> {
  return retry(attempt, {
    canRetry(error) {
      const code = azureErrorCode(error) ?? ''
      if (!busy.has(code)) return false
      call.progress(step, `Azure is still busy with the resource (${code})`)
      return true
    },
    signal: call.signal,
    pauseMs: timeouts.pollMs,
    longestMs: timeouts.pollMs * 8,
    withinMs: timeouts.busyMs,
    jitter: (ms) => ms * (1 + Math.random() / 4),
  })
}

/** Like `Promise.all`, but waits for all promises before it throws the first error. */
export async function allSettled<const T extends readonly unknown[]>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const results = await Promise.allSettled(promises)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
  return results.map((result) => (result as PromiseFulfilledResult<unknown>).value) as {
    -readonly [K in keyof T]: Awaited<T[K]>
  }
}
