import { Ec2Error } from '../http/ec2-error.ts'
import type { Parameters } from '../http/query.ts'

/** Durations in milliseconds. */
interface Lags {
  /** Time from RunInstances or StartInstances to `running`. */
  readonly pending: number
  /** Time from `running` to the public address. */
  readonly address: number
  /** Minimum time from StopInstances to `stopped`, during which the host shuts down. */
  readonly stopping: number
  /** Time from TerminateInstances to `terminated`. */
  readonly shuttingDown: number
  /** How long an instance, group, key pair or address is not visible after its creation. */
  readonly hidden: number
  /** How long a terminated instance still uses its groups. */
  readonly groupHeld: number
}

/** Properties of the account, its region and its quotas. They can be changed at any time. */
export interface Settings {
  readonly lags: Lags
  /**
   * Whether RunInstances supports client tokens: a call with the same token and parameters returns the same instance,
   * and a call with the same token and other parameters fails with IdempotentParameterMismatch.
   */
  readonly clientTokens: boolean
  /** Whether deleting a security group fails with DependencyViolation while an instance uses it. */
  readonly groupDependencies: boolean
  /** Whether a call that the instance's state does not permit fails with IncorrectInstanceState. */
  readonly stateChecks: boolean
  /** Maximum size of user-data without base64, in bytes. */
  readonly userDataLimit: number
  /** Whether an image is rejected if its architecture differs from the instance type's. */
  readonly architectures: boolean
  /** Whether each region has a default VPC. Once it has been deleted, only a reset restores it. */
  readonly defaultVpc: boolean
  /**
   * Zones and instance types without capacity: `eu-west-1a`, `t4g.small`, `eu-west-1a/t4g.small`.
   */
  readonly noCapacity: readonly string[]
  /**
   * Zones and instance types without spot capacity, in the same format, or `all` if there is no spot capacity at all.
   */
  readonly noSpotCapacity: readonly string[]
  /** The spot price in USD an hour; a lower MaxPrice is rejected with SpotMaxPriceTooLow. */
  readonly spotPrice: number
  /** Quotas, unlimited by default: instances, vCPUs, spot instances. */
  readonly instanceLimit: number
  readonly vcpuLimit: number
  readonly spotLimit: number
  /**
   * Tag keys that creating calls must set on each resource, like a policy on aws:RequestTag. Other calls fail with
   * UnauthorizedOperation.
   */
  readonly requiredTags: readonly string[]
  /** Actions that the account may not call: they fail with UnauthorizedOperation, even as a DryRun. */
  readonly denied: readonly string[]
  /**
   * The error code with which every call fails, such as AuthFailure, RequestExpired or ExpiredToken, or `valid` for
   * none.
   */
  readonly credentials: string
  /** How far the service's clock is ahead of this computer's, in milliseconds. */
  readonly clockAhead: number
  /** The error code for a request whose date is wrong by more than five minutes. */
  readonly clockRefusal: string
  /**
   * The current code of the MFA device of every role. A call that assumes a role with another code, or without a code,
   * is rejected.
   */
  readonly mfaCode: string | undefined
  /** The maximum number of calls per second; further calls fail with RequestLimitExceeded. */
  readonly callsPerSecond: number
  /** How many of the next calls of these actions (or of any action, with `all`) fail with RequestLimitExceeded. */
  readonly throttled: { readonly times: number; readonly actions: readonly string[] | 'all' }
}

/** Changes to settings; each lag can be changed separately. */
export type SettingChanges = Partial<Omit<Settings, 'lags'>> & { readonly lags?: Partial<Lags> }

const defaults: Settings = {
  lags: {
    pending: 150,
    address: 100,
    stopping: 100,
    shuttingDown: 100,
    hidden: 100,
    groupHeld: 200,
  },
  clientTokens: true,
  groupDependencies: true,
  stateChecks: true,
  userDataLimit: 16 * 1024,
  architectures: true,
  defaultVpc: true,
  noCapacity: [],
  noSpotCapacity: [],
  spotPrice: 0.005,
  instanceLimit: Number.POSITIVE_INFINITY,
  vcpuLimit: Number.POSITIVE_INFINITY,
  spotLimit: Number.POSITIVE_INFINITY,
  requiredTags: [],
  denied: [],
  credentials: 'valid',
  clockAhead: 0,
  clockRefusal: 'RequestExpired',
  mfaCode: undefined,
  callsPerSecond: Number.POSITIVE_INFINITY,
  throttled: { times: 0, actions: 'all' },
}

/** Merges changes into settings. */
export const changeSettings = (changes: SettingChanges, settings = defaults): Settings => ({
  ...settings,
  ...changes,
  lags: { ...settings.lags, ...changes.lags },
})

/** Maximum clock skew (AWS Signature Version 4, "x-amz-date"; EC2 allows three times as much). */
const longestSkew = 5 * 60_000

/** Rejects a request with a wrong date. */
export function checkDate(date: string | undefined, { clockAhead, clockRefusal }: Settings): void {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date ?? '') ?? []
  const [year = 0, month = 1, ...rest] = parts.map(Number)
  if (parts.length === 0) return
  const skew = Date.UTC(year, month - 1, ...rest) - (Date.now() + clockAhead)
  if (Math.abs(skew) > longestSkew) throw new Ec2Error(clockRefusal)
}

/** Rejects a call that assumes a role without the code of its MFA device (STS API reference, AssumeRole: TokenCode). */
export function checkMfa({ Action, TokenCode }: Parameters, { mfaCode }: Settings): void {
  if (Action !== 'AssumeRole' || mfaCode === undefined || TokenCode === mfaCode) return
  throw new Ec2Error(
    'AccessDenied',
    'MultiFactorAuthentication failed with invalid MFA one time pass code.',
    403,
  )
}

/** Rejects calls for reasons other than their parameters: credentials, permissions, rates. */
export class CallFilter {
  #throttledLeft = 0
  #recent: number[] = []
  #settings: Settings

  constructor(settings: Settings) {
    this.#settings = settings
    this.change(settings)
  }

  change(settings: Settings): void {
    if (settings.throttled !== this.#settings.throttled || this.#throttledLeft === 0)
      this.#throttledLeft = settings.throttled.times
    this.#recent = []
    this.#settings = settings
  }

  /** Throws an {@link Ec2Error} if the call is rejected. */
  check(action: string, now: number): void {
    const { credentials, denied, throttled, callsPerSecond } = this.#settings
    if (credentials !== 'valid') throw new Ec2Error(credentials)
    this.#recent = this.#recent.filter((at) => now - at < 1000)
    if (this.#recent.length >= callsPerSecond) throw new Ec2Error('RequestLimitExceeded')
    this.#recent.push(now)
    const isMeant = throttled.actions === 'all' || throttled.actions.includes(action)
    if (isMeant && this.#throttledLeft > 0) {
      this.#throttledLeft--
      throw new Ec2Error('RequestLimitExceeded')
    }
    if (denied.includes(action)) throw new Ec2Error('UnauthorizedOperation')
  }
}
