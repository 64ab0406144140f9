import type { EC2Client, ServiceInputTypes, ServiceOutputTypes } from '@aws-sdk/client-ec2'
import type { Command } from '@smithy/types'
import { UserError } from '../../../errors.ts'
import type { Ask, Call, DriverState } from '../../driver.ts'
import { openClients } from './clients.ts'
import { isThrottling } from './errors.ts'
import { regionPattern } from '../options.ts'
import { type BatchRequest, type RequestBatcher, createRequestBatcher } from './batch-requests.ts'
import { traceError, traceWork } from '../../../os/trace.ts'

/** An AWS profile and region. */
export interface Account {
  readonly region: string
  /** A profile in the user's AWS configuration; if absent, the SDK's standard credential chain applies. */
  readonly profile?: string | undefined
}

/**
 * Returns the account in a record; `undefined` if no region has been recorded yet. The region becomes part of the
 * server name that signed requests are sent to. Throws kind `inventory` if the recorded region is not a valid region
 * name.
 */
export function readAccount({ region, profile }: DriverState): Account | undefined {
  if (region === undefined) return undefined
  if (regionPattern.test(region)) return { region, profile }
  throw new UserError(
    'inventory',
    `invalid AWS region under "host:" in the inventory: ${JSON.stringify(region)}`,
    {
      hint: 'correct "region" under "host:" in the inventory',
    },
  )
}

type Ec2Command<Input extends ServiceInputTypes, Output extends ServiceOutputTypes> = Command<
  ServiceInputTypes,
  Input,
  ServiceOutputTypes,
  Output,
  // oxlint-disable-next-line typescript/no-explicit-any -- the SDK does not export what commands resolve against
  any
>

export type Send = <Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  command: Ec2Command<Input, Output>,
) => Promise<Output>

/** Access to EC2 in one account and region, on behalf of one call. Throws the SDK's errors unchanged. */
export interface Ec2 extends Account {
  readonly call: Call
  /** Sends a command and retries it while EC2 is throttling. For requests that can be repeated. */
  readonly send: Send
  /** Sends a command without retries. For requests that only the caller can safely repeat. */
  readonly sendOnce: Send
  /** Like `send`, but caches the response. For facts that several hosts' plans need. */
  readonly sendCached: Send
  /**
   * Combines requests with the same name that are made at about the same time in this account and
   * region. Resolves to the response for all items; the caller selects its own item.
   */
  readonly batch: <Answer>(name: string, item: string, ask: BatchRequest<Answer>) => Promise<Answer>
  /** Caches the result of `work` under the key `question` for this account and region. Failures are not cached. */
  readonly cached: <Value>(question: unknown, work: () => Promise<Value>) => Promise<Value>
}

/** Access to EC2 in all accounts and regions that a driver uses. */
export interface Ec2Api {
  /** Returns the region from the environment or the profile. Throws if there is none. */
  defaultRegion(profile: string | undefined): Promise<string>
  at(account: Account, call: Call): Ec2
}

/**
 * Rejects when `signal` aborts, even if `work` continues, because some SDK operations cannot be aborted. `work` gets a
 * derived signal, because Node.js warns about a leak if one signal has many listeners.
 */
async function raceAbort<Value>(
  signal: AbortSignal,
  work: (own: AbortSignal) => Promise<Value>,
): Promise<Value> {
  signal.throwIfAborted()
  const own = AbortSignal.any([signal])
  const aborted = new Promise<never>((_resolve, reject) => {
    own.addEventListener('abort', () => reject(signal.reason as Error))
  })
  return Promise.race([work(own), aborted])
}

/** How long a throttled request waits before the wait is reported, in milliseconds. */
const reportWaitAfter = 2000

/** The part of the SDK's middleware stack that is used here. */
interface MiddlewareStack {
  addRelativeTo(middleware: unknown, options: object): void
}

/** Sends a command, and reports prolonged throttling, because the SDK does not report its retries. */
async function sendReportingWaits<Output>(
  call: TrackedCall,
  stack: MiddlewareStack,
  send: () => Promise<Output>,
): Promise<Output> {
  const start = performance.now()
  let attempts = 0
  let timer: NodeJS.Timeout | undefined
  const report = (): void => call.renew(`EC2 is throttling requests (${attempts} rejected)`)
  const watch =
    (next: (args: unknown) => Promise<unknown>) =>
    async (args: unknown): Promise<unknown> => {
      try {
        return await next(args)
      } catch (error) {
        traceError('aws', 'get a response from EC2', error)
        if (isThrottling(error)) {
          attempts += 1
          const left = start + reportWaitAfter - performance.now()
          clearTimeout(timer)
          if (left <= 0) report()
          else timer = setTimeout(report, left)
        }
        throw error
      }
    }
  stack.addRelativeTo(watch, {
    ...{ relation: 'after', toMiddleware: 'retryMiddleware' },
    ...{ name: 'fleetTellWaits', override: true },
  })
  try {
    return await send()
  } finally {
    clearTimeout(timer)
  }
}

/** A call that can update the detail of its current step. */
interface TrackedCall extends Call {
  renew(detail: string): void
}

/** Wraps a call so that its current step can be updated. */
function trackSteps(call: Call): TrackedCall {
  let current: string | undefined
  return {
    signal: call.signal,
    progress(step, detail) {
      current = step
      call.progress(step, detail)
    },
    renew: (detail) => call.progress(current ?? 'query EC2', detail),
  }
}

/** Whether a request was rejected because of its date, and the clients have since corrected their clock offset. */
const isClockCorrected = (error: unknown): boolean =>
  (error as { readonly $metadata?: { readonly clockSkewCorrected?: boolean } }).$metadata
    ?.clockSkewCorrected === true

/** Returns a function that sends commands through `client` on behalf of `call`. */
const sendBy =
  (call: TrackedCall, client: EC2Client): Send =>
  (command) =>
    raceAbort(call.signal, (abortSignal) =>
      sendReportingWaits(call, command.middlewareStack as MiddlewareStack, () =>
        traceWork('aws', command.constructor.name.replace(/Command$/, ''), () =>
          client.send(command, { abortSignal }),
        ),
      ),
    )

/** Opens the EC2 API with the SDK's standard credential chain. `ask` asks the user for MFA codes. */
export function openEc2Api(ask?: Ask): Ec2Api {
  const clientOf = openClients(ask)
  const answers = new Map<string, Promise<unknown>>()
  const batchers = new Map<string, RequestBatcher>()
  return {
    defaultRegion: (profile) => clientOf({ profile }).config.region(),
    at({ region, profile }, untracked) {
      const call = trackSteps(untracked)
      const account = { region, profile }
      const retryingClient = clientOf(account, { retryMode: 'adaptive', maxAttempts: 8 })
      const send = sendBy(call, retryingClient)
      const key = JSON.stringify(account)
      const batcher =
        batchers.get(key) ?? createRequestBatcher((all) => sendBy(all, retryingClient))
      batchers.set(key, batcher)
      const batch: Ec2['batch'] = (name, item, ask) =>
        raceAbort(call.signal, () => batcher.add(name, item, call, ask))
      const cached: Ec2['cached'] = <Value>(question: unknown, work: () => Promise<Value>) => {
        const asked = JSON.stringify([account, question])
        const known = (answers.get(asked) as Promise<Value> | undefined) ?? work()
        answers.set(asked, known)
        known.catch(() => answers.delete(asked))
        return known
      }
      const sendCached: Send = (command) =>
        cached([command.constructor.name, command.input], () => send(command))
      const sendSingle = sendBy(call, clientOf(account, { maxAttempts: 1 }))
      // A request that EC2 rejected because of its date was not executed, so it can be repeated.
      const sendOnce: Send = async (command) => {
        try {
          return await sendSingle(command)
        } catch (error) {
          if (!isClockCorrected(error)) throw error
          return sendSingle(command)
        }
      }
      return { region, profile, call, send, sendOnce, sendCached, batch, cached }
    },
  }
}
