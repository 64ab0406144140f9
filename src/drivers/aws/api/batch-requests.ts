import type { Call } from '../../driver.ts'
import type { Send } from './ec2-api.ts'

/** How long others may join a request, in milliseconds: little beside the answer of EC2, which takes 50 and more. */
const openFor = 25

/** EC2 takes as many values in one filter (EC2 API reference, Filter), and more ids. */
const mostItems = 200

/** A call that takes part in a request, and can be told more about the step that it is at. */
interface Participant extends Call {
  renew(detail: string): void
}

/** A request that is being put together. */
interface Joint {
  readonly items: Set<string>
  readonly participants: Participant[]
  readonly answer: Promise<unknown>
  isOpen: boolean
}

/** Asks for several items in one request. */
export type AskTogether<Answer> = (items: readonly string[], send: Send) => Promise<Answer>

/** Puts what several hosts ask at about the same time into one request. */
export interface Togetherness {
  /** Joins the next request of this name for an item; gives the answer to all of its items. */
  ask<Answer>(
    name: string,
    item: string,
    call: Participant,
    work: AskTogether<Answer>,
  ): Promise<Answer>
}

/** A signal that is aborted once all of the calls are. */
function abortedWith(participants: readonly Participant[]): AbortSignal {
  const controller = new AbortController()
  const check = (): void => {
    if (participants.every(({ signal }) => signal.aborted)) controller.abort()
  }
  // Own signals: those who listen to one for many requests do not look like a leak.
  for (const { signal } of participants) AbortSignal.any([signal]).addEventListener('abort', check)
  check()
  return controller.signal
}

/** @param sendFor sends in the name of all participants */
export function openTogetherness(sendFor: (call: Participant) => Send): Togetherness {
  const joints = new Map<string, Joint>()

  function open<Answer>(name: string, work: AskTogether<Answer>): Joint {
    const items = new Set<string>()
    const participants: Participant[] = []
    const answer = new Promise((resolve) => {
      setTimeout(resolve, openFor)
    }).then(() => {
      joint.isOpen = false
      const all: Participant = {
        signal: abortedWith(participants),
        progress: () => {},
        renew: (detail) => participants.forEach((one) => one.renew(detail)),
      }
      return work([...items], sendFor(all))
    })
    answer.catch(() => {}) // told to those who take part
    const joint: Joint = { items, participants, answer, isOpen: true }
    joints.set(name, joint)
    return joint
  }

  return {
    ask<Answer>(name: string, item: string, call: Participant, work: AskTogether<Answer>) {
      const found = joints.get(name)
      const isFull = found !== undefined && found.items.size >= mostItems
      const joint = found?.isOpen === true && !isFull ? found : open(name, work)
      joint.items.add(item)
      joint.participants.push(call)
      return joint.answer as Promise<Answer>
    },
  }
}
