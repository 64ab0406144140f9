import type { Call } from '../../driver.ts'
import type { Send } from './ec2-api.ts'

/** Period in which other calls can join a request, in milliseconds. EC2 takes at least 50 ms to answer. */
const batchWindow = 25

/**
 * Maximum number of items in a request: EC2 accepts 200 values per filter (EC2 API reference, Filter), and even more
 * IDs.
 */
const maxItems = 200

/** A call that joined a request. `renew` updates the detail of its current step. */
interface Participant extends Call {
  renew(detail: string): void
}

/** A combined request. While it is open, other calls can add further items to it. */
interface Batch {
  readonly items: Set<string>
  readonly participants: Participant[]
  readonly answer: Promise<unknown>
  isOpen: boolean
}

/** Sends one request for several items. */
export type BatchRequest<Answer> = (items: readonly string[], send: Send) => Promise<Answer>

/** Combines requests that are made at about the same time for several hosts. */
export interface RequestBatcher {
  /** Adds an item to the next request with this name, and resolves to the response for all items of that request. */
  add<Answer>(
    name: string,
    item: string,
    call: Participant,
    work: BatchRequest<Answer>,
  ): Promise<Answer>
}

/** Returns a signal that aborts when all calls are aborted. */
function abortedWith(participants: readonly Participant[]): AbortSignal {
  const controller = new AbortController()
  const check = (): void => {
    if (participants.every(({ signal }) => signal.aborted)) controller.abort()
  }
  // Node.js warns about a leak if one signal has many listeners, so each listener gets a derived signal.
  for (const { signal } of participants) AbortSignal.any([signal]).addEventListener('abort', check)
  check()
  return controller.signal
}

/** Creates a batcher. `sendFor` returns a function that sends commands on behalf of a call. */
export function createRequestBatcher(sendFor: (call: Participant) => Send): RequestBatcher {
  const batches = new Map<string, Batch>()

  function open<Answer>(name: string, work: BatchRequest<Answer>): Batch {
    const items = new Set<string>()
    const participants: Participant[] = []
    const answer = new Promise((resolve) => {
      setTimeout(resolve, batchWindow)
    }).then(() => {
      batch.isOpen = false
      const all: Participant = {
        signal: abortedWith(participants),
        progress: () => {},
        renew: (detail) => participants.forEach((one) => one.renew(detail)),
      }
      return work([...items], sendFor(all))
    })
    answer.catch(() => {}) // each participant awaits `answer` and handles its error
    const batch: Batch = { items, participants, answer, isOpen: true }
    batches.set(name, batch)
    return batch
  }

  return {
    add<Answer>(name: string, item: string, call: Participant, work: BatchRequest<Answer>) {
      const found = batches.get(name)
      const isFull = found !== undefined && found.items.size >= maxItems
      const batch = found?.isOpen === true && !isFull ? found : open(name, work)
      batch.items.add(item)
      batch.participants.push(call)
      return batch.answer as Promise<Answer>
    },
  }
}
