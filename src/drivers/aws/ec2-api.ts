import {
  EC2Client,
  type EC2ClientConfig,
  type ServiceInputTypes,
  type ServiceOutputTypes,
} from '@aws-sdk/client-ec2'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { Command } from '@smithy/types'
import { UserError } from '../../errors.ts'
import type { Call, Resources } from '../driver.ts'
import { regionPattern } from './options.ts'
import { proxyAgent } from '../../proxy.ts'

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
export function readAccount({ region, profile }: Resources): Account | undefined {
  if (region === undefined) return undefined
  if (regionPattern.test(region)) return { region, profile }
  throw new UserError(
    'inventory',
    `the record names ${JSON.stringify(region)}, which is no AWS region`,
    {
      hint: 'correct `region` under host: resources: in the inventory',
    },
  )
}

type Ask<Input extends ServiceInputTypes, Output extends ServiceOutputTypes> = Command<
  ServiceInputTypes,
  Input,
  ServiceOutputTypes,
  Output,
  // oxlint-disable-next-line typescript/no-explicit-any -- the SDK does not export what commands resolve against
  any
>

type Send = <Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  command: Ask<Input, Output>,
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

const say = (): void => {}
/** What the SDK would say on stderr, about its own plans and about the environment, is not for fleet's users. */
const silence = { trace: say, debug: say, info: say, warn: say, error: say }

/** EC2 by the SDK's standard chain: environment, profiles, SSO, web identity, instance metadata. */
export function openEc2Api(): Ec2Api {
  // The SDK warns whoever runs an older Node.js of its own plans; what fleet supports is fleet's word.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true'
  const agent = proxyAgent()
  const requestHandler = new NodeHttpHandler({
    httpAgent: agent,
    httpsAgent: agent as never,
    connectionTimeout: 10_000,
    requestTimeout: 30_000,
    throwOnRequestTimeout: true,
  })
  const clients = new Map<string, EC2Client>()
  const clientOf = (config: EC2ClientConfig): EC2Client => {
    const key = JSON.stringify(config)
    const client = clients.get(key) ?? new EC2Client({ ...config, requestHandler, logger: silence })
    clients.set(key, client)
    return client
  }
  const answers = new Map<string, Promise<unknown>>()

  return {
    usualRegion: (profile) => clientOf(profile === undefined ? {} : { profile }).config.region(),
    at({ region, profile }, call) {
      const config = { region, ...(profile !== undefined && { profile }) }
      const sendBy =
        (client: EC2Client): Send =>
        (command) =>
          endingWith(call.signal, (abortSignal) => client.send(command, { abortSignal }))
      const send = sendBy(clientOf({ ...config, retryMode: 'adaptive', maxAttempts: 8 }))
      const once: Ec2['once'] = <Value>(question: unknown, work: () => Promise<Value>) => {
        const key = JSON.stringify([config, question])
        const known = (answers.get(key) as Promise<Value> | undefined) ?? work()
        answers.set(key, known)
        known.catch(() => answers.delete(key))
        return known
      }
      const know: Send = (command) =>
        once([command.constructor.name, command.input], () => send(command))
      const sendOnce = sendBy(clientOf({ ...config, maxAttempts: 1 }))
      return { region, profile, call, send, sendOnce, know, once }
    },
  }
}
