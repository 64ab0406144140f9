import { setTimeout as sleep } from 'node:timers/promises'
import type { Call } from '../../driver.ts'
import type { Timeouts } from './azure-api.ts'
import { azureErrorCode } from './sdk-errors.ts'

/**
 * Errors while another operation uses the resource, or shortly after: a retry succeeds. A network
 * interface stays reserved for three minutes for a virtual machine that could not be created.
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
  tempo: Timeouts,
  call: Call,
  step: string,
  attempt: () => Promise<T>,
): Promise<T> {
  const end = performance.now() + tempo.busyMs
  for (let wait = tempo.pollMs; ; wait = Math.min(wait * 2, tempo.pollMs * 8)) {
    try {
      return await attempt()
    } catch (error) {
      const code = azureErrorCode(error) ?? ''
      if (!busy.has(code) || performance.now() > end) throw error
      call.progress(step, `Azure is still busy with it (${code})`)
    }
    await sleep(wait * (1 + Math.random() / 4), undefined, { signal: call.signal })
  }
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
