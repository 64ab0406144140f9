import type { Call } from './call-log.ts'

/** What goes wrong with a call. */
export type FaultEffect =
  /** EC2 refuses it with this code; message and status are the code's own unless given. */
  | {
      readonly kind: 'error'
      readonly code: string
      readonly message?: string
      readonly status?: number
    }
  /** Something between answers, without a word of EC2's: a 502, a 503 of a proxy. */
  | { readonly kind: 'status'; readonly status: number }
  /** The connection is closed and nothing was done. */
  | { readonly kind: 'close' }
  /** It is executed and the connection is closed instead of an answer. */
  | { readonly kind: 'lose' }
  /** No answer ever comes; `executed`: what it asked for has happened all the same. */
  | { readonly kind: 'hang'; readonly executed: boolean }
  /** It is executed so much later (milliseconds). */
  | { readonly kind: 'delay'; readonly ms: number }

/** Which calls an effect meets. */
export type Fault = FaultEffect & {
  /** Only calls of this action. */
  readonly action?: string
  /** The nth of the matching calls from now on; 1 is the next, which is the default. */
  readonly at?: number
  /** So many calls from that one on; default 1. */
  readonly times?: number
}

/** Faults that wait for their call. */
export class FaultList {
  #waiting: { readonly fault: Fault; seen: number }[] = []

  add(fault: Fault): void {
    this.#waiting.push({ fault, seen: 0 })
  }

  /** What a call meets: the first fault whose turn it is. Each fault counts every call that matches it. */
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
