import type { EC2Client, ServiceInputTypes, ServiceOutputTypes } from '@aws-sdk/client-ec2'
import type { Command } from '@smithy/types'
import { UserError } from '../../../errors.ts'
import type { Ask, Call, DriverState } from '../../driver.ts'
import { openClients } from './clients.ts'
import { isBusy } from './errors.ts'
import { regionPattern } from '../options.ts'
import { type AskTogether, type Togetherness, openTogetherness } from './batch-requests.ts'
import { traceError, traceWork } from '../../../os/trace.ts'

/** Which credentials, and where. */
export interface Account {
  readonly region: string
  /** Of the person's AWS configuration; absent: what the standard chain finds. */
  readonly profile?: string | undefined
}

/**
 * What a record says of the account and region, which becomes part of the name of the server that signed requests go to; nothing where no attempt came as far. Throws kind `inventory` for what can be no
 * region.
 */
export function readAccount({ region, profile }: DriverState): Account | undefined {
  if (region === undefined) return undefined
  if (regionPattern.test(region)) return { region, profile }
  throw new UserError('inventory', `invalid AWS region in the record: ${JSON.stringify(region)}`, {
    hint: 'correct `region` under host: resources: in the inventory',
  })
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

/** EC2 of one account and region, for the time of one call. Errors are the SDK's own. */
export interface Ec2 extends Account {
  readonly call: Call
  /** Asks as often as it takes where EC2 is busy: for what may be asked twice. */
  readonly send: Send
  /** Asks a single time: the caller knows what another time would do. */
  readonly sendOnce: Send
  /** As `send`, but the answer to the same question is remembered: what several hosts are planned with. */
  readonly know: Send
  /**
   * Puts what several hosts ask within a moment, under one name, into one request of this account and region. Gives the answer to all
   * of the items: who asks looks for its own.
   */
  readonly together: <Answer>(
    name: string,
    item: string,
    ask: AskTogether<Answer>,
  ) => Promise<Answer>
  /** Does `work` once for all that ask the same question of this account and region; again where it failed. */
  readonly once: <Value>(question: unknown, work: () => Promise<Value>) => Promise<Value>
}

/** EC2 of all the accounts and regions that one driver is asked about. */
export interface Ec2Api {
  /** The region that the environment or the profile names. Throws where neither does. */
  usualRegion(profile: string | undefined): Promise<string>
  at(account: Account, call: Call): Ec2
}

/**
 * Does `work` and ends with `signal`, whatever `work` does: not all that the SDK waits for can be cut short. `work` gets a signal of its
 * own, so that those who listen for many questions at once do not look like a leak.
 */
async function endingWith<Value>(
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

/** Steps that wait for EC2 longer than this say so, in milliseconds. */
const tellWaitAfter = 2000

/** What a command of the SDK does on its way, as far as it can be added to. */
interface MiddlewareStack {
  addRelativeTo(middleware: unknown, options: object): void
}

/**
 * Sends a command, and says what it waits for where EC2 turns attempts down as too many and that takes long: the SDK is
 * silent while it rests between them.
 */
async function sendTelling<Output>(
  call: Steps,
  stack: MiddlewareStack,
  send: () => Promise<Output>,
): Promise<Output> {
  const began = performance.now()
  let attempts = 0
  let timer: NodeJS.Timeout | undefined
  const tell = (): void => call.renew(`EC2 is throttling requests (${attempts} rejected so far)`)
  const watch =
    (next: (args: unknown) => Promise<unknown>) =>
    async (args: unknown): Promise<unknown> => {
      try {
        return await next(args)
      } catch (error) {
        traceError('aws', 'get an answer of EC2', error)
        if (isBusy(error)) {
          attempts += 1
          const left = began + tellWaitAfter - performance.now()
          clearTimeout(timer)
          if (left <= 0) tell()
          else timer = setTimeout(tell, left)
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

/** A call, and a way to say more about the step that it is at. */
interface Steps extends Call {
  renew(detail: string): void
}

/** Remembers the step that a call is at. */
function followSteps(call: Call): Steps {
  let current: string | undefined
  return {
    signal: call.signal,
    progress(step, detail) {
      current = step
      call.progress(step, detail)
    },
    renew: (detail) => call.progress(current ?? 'ask EC2', detail),
  }
}

/** Whether a request was refused for its date, and the clients have learned by how much this computer's clock is off. */
const isClockCorrected = (error: unknown): boolean =>
  (error as { readonly $metadata?: { readonly clockSkewCorrected?: boolean } }).$metadata
    ?.clockSkewCorrected === true

/** Sends by a client, in the name of a call. */
const sendBy =
  (call: Steps, client: EC2Client): Send =>
  (command) =>
    endingWith(call.signal, (abortSignal) =>
      sendTelling(call, command.middlewareStack as MiddlewareStack, () =>
        traceWork('aws', command.constructor.name.replace(/Command$/, ''), () =>
          client.send(command, { abortSignal }),
        ),
      ),
    )

/** EC2 by the SDK's standard chain of credentials; `ask` is for what only a person knows. */
export function openEc2Api(ask?: Ask): Ec2Api {
  const clientOf = openClients(ask)
  const answers = new Map<string, Promise<unknown>>()
  const joined = new Map<string, Togetherness>()
  return {
    usualRegion: (profile) => clientOf({ profile }).config.region(),
    at({ region, profile }, told) {
      const call = followSteps(told)
      const account = { region, profile }
      const patient = clientOf(account, { retryMode: 'adaptive', maxAttempts: 8 })
      const send = sendBy(call, patient)
      const key = JSON.stringify(account)
      const others = joined.get(key) ?? openTogetherness((all) => sendBy(all, patient))
      joined.set(key, others)
      const together: Ec2['together'] = (name, item, ask) =>
        endingWith(call.signal, () => others.ask(name, item, call, ask))
      const once: Ec2['once'] = <Value>(question: unknown, work: () => Promise<Value>) => {
        const asked = JSON.stringify([account, question])
        const known = (answers.get(asked) as Promise<Value> | undefined) ?? work()
        answers.set(asked, known)
        known.catch(() => answers.delete(asked))
        return known
      }
      const know: Send = (command) =>
        once([command.constructor.name, command.input], () => send(command))
      const sendSingle = sendBy(call, clientOf(account, { maxAttempts: 1 }))
      // What EC2 refuses for its date it has not done.
      const sendOnce: Send = async (command) => {
        try {
          return await sendSingle(command)
        } catch (error) {
          if (!isClockCorrected(error)) throw error
          return sendSingle(command)
        }
      }
      return { region, profile, call, send, sendOnce, know, together, once }
    },
  }
}
