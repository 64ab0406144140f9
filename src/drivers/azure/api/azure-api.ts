import { AsyncLocalStorage } from 'node:async_hooks'
import { ComputeManagementClient } from '@azure/arm-compute'
import { NetworkManagementClient } from '@azure/arm-network'
import { ResourceManagementClient } from '@azure/arm-resources'
import { type PipelinePolicy, RestError } from '@azure/core-rest-pipeline'
import type { TokenCredential } from '@azure/identity'
import { setLogLevel } from '@azure/logger'
import { UserError } from '../../../errors.ts'
import type { Call } from '../../driver.ts'
import { apiVersionPolicy } from './api-version.ts'
import { type CloudName, clouds } from './clouds.ts'
import { chooseCredential } from './login.ts'
import { traceWork } from '../../../os/trace.ts'
import type { Environment } from '../../../os/environment.ts'

/** A subscription in a cloud. */
export interface Account {
  readonly cloud: CloudName
  readonly subscription: string
  readonly tenant?: string | undefined
}

/** Timeouts and intervals; tests use shorter ones. */
export interface Timeouts {
  /** Maximum time to wait for the response to a request. */
  readonly requestTimeoutMs: number
  /** Polling interval for operations, unless Azure specifies one. */
  readonly pollMs: number
  /** Number of retries for a failed request. */
  readonly retries: number
  /** Pause before the first retry. Later pauses are longer. */
  readonly retryMs: number
  /** The longest `Retry-After` that is accepted. */
  readonly maxRetryAfterMs: number
  /** Maximum time to wait for a resource that another operation keeps busy. */
  readonly busyMs: number
}

/** Timeouts for use with the real Azure cloud. */
export const azureTimeouts: Timeouts = {
  requestTimeoutMs: 60_000,
  pollMs: 3000,
  retries: 3,
  retryMs: 1000,
  maxRetryAfterMs: 120_000,
  busyMs: 300_000,
}

/** The clients of Azure Resource Manager for one account. */
export interface AzureApi {
  readonly account: Account
  readonly timeouts: Timeouts
  readonly compute: ComputeManagementClient
  readonly network: NetworkManagementClient
  readonly resources: ResourceManagementClient
  /**
   * Caches the result of a query that serves many hosts, for `maxAgeMs` (default: forever). A
   * failure is not cached.
   */
  readonly cached: <T>(question: string, ask: () => Promise<T>, maxAgeMs?: number) => Promise<T>
}

/** Creates the cache for {@link AzureApi.cached}. */
function createCache(): AzureApi['cached'] {
  const answers = new Map<string, { readonly asked: number; readonly answer: Promise<unknown> }>()
  return async <T>(question: string, ask: () => Promise<T>, maxAgeMs = Infinity): Promise<T> => {
    const known = answers.get(question)
    if (known !== undefined && performance.now() - known.asked < maxAgeMs) {
      return known.answer as Promise<T>
    }
    const answer = ask()
    const kept = { asked: performance.now(), answer }
    answers.set(question, kept)
    try {
      return await answer
    } catch (error) {
      if (answers.get(question) === kept) answers.delete(question)
      throw error
    }
  }
}

/** Opens the API for an account. Calls for the same account get the same API, so they share one login. */
export type OpenApi = (account: Account, call: Call) => AzureApi

/**
 * Limits how long a request waits for its response. A timeout is reported like a broken connection,
 * so that the SDK retries the request: all requests are idempotent.
 */
const timeLimit = (milliseconds: number): PipelinePolicy => ({
  name: 'fleetTimeLimit',
  async sendRequest(request, next) {
    request.timeout = milliseconds
    try {
      return await next(request)
    } catch (error) {
      const isLate = error instanceof Error && error.name === 'AbortError'
      if (!isLate || request.abortSignal?.aborted) throw error
      throw new RestError('Azure did not respond in time', { code: 'ETIMEDOUT', request })
    }
  },
})

/** The current call, and the step that it reported last. */
interface CurrentCall {
  readonly call: Call
  step: string | undefined
  /** Whether the progress shows a wait instead of the step. */
  isWaiting: boolean
}

/** The call on whose behalf a request is sent: one client serves many calls. */
const current = new AsyncLocalStorage<CurrentCall>()

/** Runs the work of one call, and reports the waits of its requests as progress. */
export function trackCall<T>(call: Call, work: (call: Call) => Promise<T>): Promise<T> {
  const now: CurrentCall = { call, step: undefined, isWaiting: false }
  return current.run(now, () =>
    work({
      signal: call.signal,
      progress(step, detail) {
        now.step = step
        call.progress(step, detail)
      },
    }),
  )
}

/** The shortest wait that is reported, in seconds. */
const minReportedWait = 2

/**
 * Reports the waits that Azure requests in `Retry-After`
 * (https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling), because the SDK
 * waits silently. Throws kind `failed` if a throttled request would wait longer than `milliseconds`, because Azure may
 * request a wait of an hour.
 */
const waitLimit = (milliseconds: number): PipelinePolicy => ({
  name: 'fleetWaitLimit',
  async sendRequest(request, next) {
    const response = await next(request)
    const seconds = Number(response.headers.get('retry-after'))
    const now = current.getStore()
    if ((response.status !== 429 && response.status !== 503) || !(seconds > 0)) {
      if (now?.isWaiting && now.step !== undefined) now.call.progress(now.step)
      if (now !== undefined) now.isWaiting = false
      return response
    }
    if (response.status === 429 && seconds * 1000 > milliseconds) {
      throw new UserError(
        'failed',
        `Azure is throttling requests and will accept the next one in ${seconds} s`,
        {
          hint: 'run the command again later: too many requests were sent for this subscription',
        },
      )
    }
    if (seconds < minReportedWait || now === undefined) return response
    now.isWaiting = true
    now.call.progress('wait for Azure', `requests are being throttled; retrying in ${seconds} s`)
    return response
  },
})

/** Reads the error in a response from Resource Manager: `{"error": {"code": …, "message": …}}`. */
function errorIn(text: string | null | undefined): { code?: string; message?: string } {
  try {
    const { error } = JSON.parse(text ?? '') as { error?: { code?: unknown; message?: unknown } }
    const { code, message } = error ?? {}
    return {
      ...(typeof code === 'string' && { code }),
      ...(typeof message === 'string' && { message }),
    }
  } catch {
    return {}
  }
}

/** Adds Azure's message to errors from the SDK's list methods, because these errors do not contain it. */
const errorPolicy: PipelinePolicy = {
  name: 'fleetRefusals',
  async sendRequest(request, next) {
    const response = await next(request)
    const { status, bodyAsText } = response
    const isRefusal = status >= 400 && status !== 401 && status !== 404 && status !== 429
    if (!isRefusal || request.method !== 'GET') return response
    const { code, message } = errorIn(bodyAsText)
    if (message === undefined) return response
    throw new RestError(message, {
      ...(code !== undefined && { code }),
      statusCode: status,
      request,
      response,
    })
  },
}

/** Traces each request without its query, which may be signed, and without its body. */
const traced: PipelinePolicy = {
  name: 'fleetTrace',
  sendRequest: (request, next) =>
    traceWork(
      'azure',
      `${request.method} ${request.url.replace(/\?.*/s, '')}`,
      () => next(request),
      ({ status }) => `${status}`,
    ),
}

function open(account: Account, credential: TokenCredential, timeouts: Timeouts): AzureApi {
  const { resourceManager: endpoint } = clouds[account.cloud]
  const scopes = [`${endpoint}/.default`]
  const options = {
    endpoint,
    userAgentOptions: { userAgentPrefix: 'fleet' },
    retryOptions: { maxRetries: timeouts.retries, retryDelayInMs: timeouts.retryMs },
    additionalPolicies: [
      { policy: errorPolicy, position: 'perCall' as const },
      { policy: apiVersionPolicy(), position: 'perRetry' as const },
      { policy: timeLimit(timeouts.requestTimeoutMs), position: 'perRetry' as const },
      { policy: traced, position: 'perRetry' as const },
      { policy: waitLimit(timeouts.maxRetryAfterMs), position: 'perRetry' as const },
    ],
  }
  const older = { ...options, credentialScopes: scopes }
  const { subscription } = account
  return {
    account,
    timeouts,
    cached: createCache(),
    compute: new ComputeManagementClient(credential, subscription, {
      ...options,
      credentials: { scopes },
    }),
    network: new NetworkManagementClient(credential, subscription, older),
    resources: new ResourceManagementClient(credential, subscription, older),
  }
}

/** Returns a function that opens Azure accounts with the logins in `env`. */
export function openAzure(env: Environment, timeouts: Timeouts): OpenApi {
  // The SDK's log contains signed URLs of operations, so it is turned off even if AZURE_LOG_LEVEL enables it.
  setLogLevel()
  const opened = new Map<string, AzureApi>()
  const credentials = new Map<string, TokenCredential>()
  return (account, call) => {
    const { cloud, subscription, tenant } = account
    const login = `${cloud}/${tenant}`
    const credential = credentials.get(login) ?? chooseCredential(env, cloud, tenant, call)
    credentials.set(login, credential)
    const key = `${login}/${subscription}`
    const api = opened.get(key) ?? open(account, credential, timeouts)
    opened.set(key, api)
    return api
  }
}
