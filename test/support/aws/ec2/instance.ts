import { setTimeout as sleep } from 'node:timers/promises'
import type { Host } from '../hosts/hosts.ts'
import type { Settings } from './settings.ts'

/** States of an instance with their codes (InstanceState in EC2's API reference). */
export const stateCodes = {
  pending: '0',
  running: '16',
  'shutting-down': '32',
  terminated: '48',
  stopping: '64',
  stopped: '80',
} as const

/** The name of an instance state. */
export type StateName = keyof typeof stateCodes

/** The properties of a new instance. */
export interface InstancePlan {
  readonly id: string
  readonly region: string
  readonly token: string | undefined
  readonly type: string
  readonly zone: string
  readonly groups: readonly string[]
  readonly isSpot: boolean
  /** Whether the provider assigns a new address at each start. */
  readonly isPublic: boolean
  readonly host: Host
}

/** The dependencies of an instance. */
export interface Surroundings {
  readonly settings: () => Settings
  readonly newAddress: () => Promise<string>
  /** Called for errors of the host: the test double failed, not the product. */
  readonly onFailure: (error: unknown) => void
}

/** An instance with the state that AWS would report. Unlike moto's, the state changes with a delay. */
export class Instance {
  readonly plan: InstancePlan
  state: StateName = 'pending'
  /** The reason for the state, if AWS changed it. */
  stateReason: { readonly code: string; readonly message: string } | undefined
  /** Time of the termination, as returned by `performance.now()`. */
  terminatedAt: number | undefined
  /** The groups of its network interface, which can change. */
  groups: readonly string[]
  /** The elastic address, if the instance has one instead of a temporary address. */
  elastic: string | undefined
  #address: string | undefined
  #showsAddress = false
  #generation = 0
  #work: Promise<unknown> = Promise.resolve()
  readonly #surroundings: Surroundings

  constructor(plan: InstancePlan, surroundings: Surroundings) {
    this.plan = plan
    this.groups = plan.groups
    this.#surroundings = surroundings
  }

  /** The public address that is visible now. */
  get address(): string | undefined {
    if (this.state !== 'running' || !this.#showsAddress) return undefined
    return this.elastic ?? this.#address
  }

  /** Resolves when the host has completed all operations. */
  get settled(): Promise<unknown> {
    return this.#work
  }

  get #lags() {
    return this.#surroundings.settings().lags
  }

  /**
   * Boots the host, for the first time or again. As in AWS, the instance is `running` and has its
   * address before the host has booted.
   */
  async begin(boot: (host: Host, address: string | undefined) => Promise<void>): Promise<void> {
    this.#enter('pending')
    const generation = this.#generation
    if (this.plan.isPublic) this.#address = await this.#surroundings.newAddress()
    void this.#queue(() => boot(this.plan.host, this.elastic ?? this.#address))
    void (async () => {
      await sleep(this.#lags.pending)
      if (generation !== this.#generation) return
      this.state = 'running'
      await sleep(this.#lags.address)
      if (generation === this.#generation) this.#showsAddress = true
    })()
  }

  stop(force: boolean): void {
    this.#end('stopping', 'stopped', this.#lags.stopping, () => this.plan.host.stop(force))
  }

  /** Interrupts a spot instance (EC2 user guide, "Spot Instance interruptions"). */
  reclaim(): void {
    this.stateReason = {
      code: 'Server.SpotInstanceTermination',
      message: 'Server.SpotInstanceTermination: Spot instance termination',
    }
    this.terminate()
  }

  terminate(): void {
    this.elastic = undefined
    this.#end('shutting-down', 'terminated', this.#lags.shuttingDown, () =>
      this.plan.host.release(),
    )
  }

  /** Restarts the host. Its state does not change. */
  reboot(): void {
    void this.#queue(async () => {
      await this.plan.host.stop(false)
      await this.plan.host.start(this.elastic ?? this.#address)
    })
  }

  /** Switches to an elastic address, or, if undefined, to a new temporary one. */
  async useElastic(address: string | undefined): Promise<void> {
    this.elastic = address
    if (address === undefined && this.plan.isPublic)
      this.#address = await this.#surroundings.newAddress()
    if (this.state === 'running')
      await this.#queue(() => this.plan.host.answerOn(this.elastic ?? this.#address))
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work).catch(this.#surroundings.onFailure)
    this.#work = done
    return done
  }

  #enter(state: StateName): void {
    this.#generation++
    this.state = state
    this.#showsAddress = false
  }

  #end(
    through: 'stopping' | 'shutting-down',
    to: 'stopped' | 'terminated',
    lag: number,
    work: () => Promise<void>,
  ): void {
    this.#enter(through)
    const generation = this.#generation
    const worked = this.#queue(work)
    void (async () => {
      await Promise.all([sleep(lag), worked])
      if (generation !== this.#generation) return
      this.state = to
      if (to === 'terminated') this.terminatedAt = performance.now()
    })()
  }
}
