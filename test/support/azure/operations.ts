import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, Refusal, type Request } from './exchange.ts'

/** An operation that continues after its response. */
interface Operation {
  status: 'InProgress' | 'Succeeded' | 'Failed'
  error?: { readonly code: string; readonly message: string }
  /** The HTTP status of the response from its `Location` URL after success. */
  readonly final: number
}

/** The signed URLs of an operation. */
interface Links {
  readonly asyncOperation: string
  readonly location: string
}

/** Long-running operations, and the URLs to poll them. */
export interface Operations {
  /** Starts an operation, which is running until `work` resolves. If `work` throws a {@link Refusal}, it fails. */
  start(subscription: string, namespace: string, final: number, work: () => Promise<void>): Links
  /** Returns the response to a poll, if `request` is one. */
  answer(request: Request): Answer | undefined
  /** Resolves when no operation is running. */
  idle(): Promise<void>
}

/** Returns a signed URL of about 3 KB, like real ones. */
function sign(path: string): string {
  const claim = randomBytes(2150).toString('base64url')
  const signature = createHash('sha256').update(path).update(claim).digest('base64url')
  return `https://management.azure.com${path}&t=${Date.now()}&c=${claim}&s=${signature}&h=${randomUUID()}`
}

/** Creates the operations. Each takes `settleMs` in addition to the time for its work. */
export function keepOperations(
  settleMs: () => number,
  retryAfter: () => string | undefined,
): Operations {
  const byUrl = new Map<string, { readonly operation: Operation; readonly isLocation: boolean }>()
  const going = new Set<Promise<void>>()

  async function carryOut(operation: Operation, work: () => Promise<void>): Promise<void> {
    await sleep(settleMs(), undefined, { ref: false })
    try {
      await work()
      operation.status = 'Succeeded'
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      operation.status = 'Failed'
      operation.error = (error.answer.body as { error: { code: string; message: string } }).error
    }
  }

  const pace = (): Record<string, string> => {
    const seconds = retryAfter()
    return seconds === undefined ? {} : { 'retry-after': seconds }
  }

  return {
    start(subscription, namespace, final, work) {
      const operation: Operation = { status: 'InProgress', final }
      const base = `/subscriptions/${subscription}/providers/${namespace}/locations/westeurope`
      const id = randomUUID()
      const links = {
        asyncOperation: sign(`${base}/operations/${id}?api-version=2024-07-01`),
        location: sign(`${base}/operationresults/${id}?api-version=2024-07-01`),
      }
      byUrl.set(links.asyncOperation, { operation, isLocation: false })
      byUrl.set(links.location, { operation, isLocation: true })
      const carriedOut = carryOut(operation, work).finally(() => going.delete(carriedOut))
      going.add(carriedOut)
      return links
    },
    answer({ method, host, rawUrl, path }) {
      if (!/\/(?:operations|operationresults)\//.test(path)) return undefined
      const found = byUrl.get(`https://${host}${rawUrl}`)
      if (method !== 'GET' || found === undefined) {
        throw new Refusal(403, 'InvalidOperationSignature', 'The address was altered.')
      }
      const { operation, isLocation } = found
      const { status, error, final } = operation
      const headers = status === 'InProgress' ? pace() : {}
      if (!isLocation) return { status: 200, headers, body: { status, ...(error && { error }) } }
      if (status === 'InProgress') {
        return { status: 202, headers: { ...headers, location: `https://${host}${rawUrl}` } }
      }
      return error ? { status: 409, body: { error } } : { status: final }
    },
    async idle() {
      while (going.size > 0) await Promise.all(going)
    },
  }
}
