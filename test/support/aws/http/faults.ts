import type { Call } from './call-log.ts'

/** The effect of a fault. */
export type FaultEffect =
  /** EC2 rejects the call with this code; by default, the message and status are the usual ones for the code. */
  | {
      readonly kind: 'error'
      readonly code: string
      readonly message?: string
      readonly status?: number
    }
  /** A response from an intermediate server, such as a 502 or 503 of a proxy. */
  | { readonly kind: 'status'; readonly status: number }
  /** The connection is closed before the call is executed. */
  | { readonly kind: 'close' }
  /** The connection is closed after the call is executed. */
  | { readonly kind: 'lose' }
  /** There is no response; if `executed`, the call is executed nevertheless. */
  | { readonly kind: 'hang'; readonly executed: boolean }
  /** The execution is delayed by `ms` milliseconds. */
  | { readonly kind: 'delay'; readonly ms: number }

/** The calls that a fault applies to. */
export type Fault = FaultEffect & {
  /** Only calls of this action. */
  readonly action?: string
  /** The first matching call that the fault applies to, counted from now on (default: 1, the next call). */
  readonly at?: number
  /** The number of consecutive matching calls that the fault applies to (default: 1). */
  readonly times?: number
}

/** Pending faults. */
export class FaultList {
  #waiting: { readonly fault: Fault; seen: number }[] = []

  add(fault: Fault): void {
    this.#waiting.push({ fault, seen: 0 })
  }

  /** Returns the effect of the first fault that applies to a call. For each fault, every matching call counts. */
  take({ action }: Call): FaultEffect | undefined {
    let met: FaultEffect | undefined
    for (const entry of this.#waiting) {
      if (entry.fault.action !== undefined && entry.fault.action !== action) continue
      entry.seen++
      if (entry.seen >= (entry.fault.at ?? 1)) met ??= entry.fault
    }
    this.#waiting = this.#waiting.filter(
      ({ fault, seen }) => seen < (fault.at ?? 1) + (fault.times ?? 1) - 1,
    )
    return met
  }

  clear(): void {
    this.#waiting = []
  }
}
